#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: benchmark_report
short_description: Keep the report of a benchmark on the controller
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Keeps what is measured in a journal of the controller, and makes a report of it, C(report.json), C(report.html)
    and, where
    something is recommended, C(recommended.yml).
  - An action that runs on the controller alone.
options:
  state:
    description: >-
      V(begun) makes the directory, V(noted) adds what is known of a candidate, V(searched) says which settings to
      measure next, V(finished) writes the report.
    type: str
    choices:
      - begun
      - noted
      - searched
      - finished
    required: true
  path:
    description: The report's directory on the controller. It must be new or empty at first, on a disk with room.
    type: path
    required: true
  kind:
    description: What is reported.
    type: str
    choices:
      - benchmark
      - tournament
      - tune
    default: benchmark
  host:
    description: The host's name in the inventory. Required with O(state=begun).
    type: str
  facts:
    description: >-
      Facts of the host, as the module M(llmops.serving.host_info) returns them. Required with O(state=begun).
    type: dict
  seed:
    description: The number from which all prompts follow.
    type: int
    default: 1
  profile:
    description: The load. Required with O(state=begun).
    type: dict
  inventory:
    description: The server that the report is about and its words in the inventory. Required with O(state=begun).
    type: dict
  candidates:
    description: Those that are known at the beginning.
    type: list
    elements: dict
    default: []
  candidate:
    description: The candidate that something is noted of. Required with O(state=noted).
    type: str
  description:
    description: What the candidate is, for one that was not known at the beginning.
    type: dict
  start:
    description: Which start of the engine the steps belong to.
    type: int
    default: 1
  served:
    description: >-
      What the task of the role P(llmops.serving.engine#role) returned, or an entry of M(llmops.serving.server_info).
    type: dict
  server:
    description: The name of the candidate's server.
    type: str
  prepared:
    description: What M(llmops.serving.benchmark_prepare) returned.
    type: dict
  results:
    description: >-
      What M(llmops.serving.benchmark_step) returned for each step, with the loop's item under C(benchmark_step).
    type: list
    elements: dict
  watched:
    description: What M(llmops.serving.benchmark_watch) returned.
    type: dict
  failure:
    description: The result of the task that failed, for a candidate that cannot be measured.
    type: dict
  search:
    description:
      - What a search for the best settings needs, C(server), C(site), C(cores), C(minutes) and C(tries). Required with
        O(state=searched).
    type: dict
  together:
    description: Whether all candidates were loaded at once, so that memory of the whole host is of none of them.
    type: bool
    default: false
attributes:
  check_mode:
    description: Writes on the controller in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Write the report
  llmops.serving.benchmark_report:
    state: finished
    path: llmops-reports/gpu01-chat
"""

RETURN = r"""
path:
  description: The report's directory.
  returned: with O(state=begun) and O(state=finished)
  type: str
said:
  description: C(status), C(reason) and C(remedy) of a candidate that cannot be measured.
  returned: with O(state=noted)
  type: dict
turn:
  description: What to measure next, empty when all is measured.
  returned: with O(state=searched)
  type: dict
report:
  description: Path of C(report.json).
  returned: with O(state=finished)
  type: str
page:
  description: Path of C(report.html).
  returned: with O(state=finished)
  type: str
recommended:
  description: Path of C(recommended.yml), empty where nothing is recommended.
  returned: with O(state=finished)
  type: str
lines:
  description: The verdict, a sentence each.
  returned: with O(state=finished)
  type: list
  elements: str
"""
