#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `rerank_probe`."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rerank_probe
short_description: Prove that a server reranks, with real documents
version_added: 0.1.0
description:
  - Ranks documents for a query and judges the ranking.
  - Every document must come back once, with a finite score, in the order of the scores, the relevant one first.
  - The answers of infinity, vLLM, llama.cpp, SGLang and TEI are understood.
    The route is looked for under C(/v1) first, then beside it.
extends_documentation_fragment:
  - llmops.serving._probe
options:
  query:
    description: Question to rank for.
    type: str
    default: What is the capital of France?
  documents:
    description: Documents to rank, at least two.
    type: list
    elements: str
    default:
      - Bananas are rich in potassium.
      - Paris is the capital and largest city of France.
      - The Pacific is the largest ocean.
  relevant:
    description: Index in O(documents), from 0, of the one that must come first.
    type: int
    default: 1
  semantic:
    description: Whether the relevant document must come first. Set it to V(false) for an untrained model.
    type: bool
    default: true
author:
  - llmops.serving contributors (@llmops-serving)
"""

EXAMPLES = r"""
- name: Does the server rank the relevant document first?
  llmops.serving.rerank_probe:
    url: http://127.0.0.1:8005/v1
    model: bge-reranker-v2-m3

- name: Only the form, for a model without training
  llmops.serving.rerank_probe:
    url: http://127.0.0.1:8005/v1
    semantic: false
"""

RETURN = r"""
probe:
  description: Name of the probe.
  returned: always
  type: str
  sample: rerank
ok:
  description: Whether every check passed.
  returned: always
  type: bool
  sample: true
checks:
  description:
    - Every check in order, until one without which the rest means nothing.
    - Their names are C(models), C(answer), C(permutation), C(model),
      C(finite), C(sorted), C(relevant_first).
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check, the same in every run.
      type: str
      sample: relevant_first
    ok:
      description: Its verdict.
      type: bool
      sample: true
    detail:
      description: What was seen, and for a failed check what to do.
      type: str
latency_ms:
  description: Time of the first full answer in milliseconds.
  returned: always
  type: float
  sample: 412.7
sample:
  description: Score and text of the first document.
  returned: always
  type: str
  sample: "0.998: Paris is the capital and largest city of France."
model:
  description: Name of the model that was asked; empty if none could be chosen.
  returned: always
  type: str
  sample: bge-reranker-v2-m3
raw:
  description:
    - The server's answer as parsed JSON, long lists shortened, at most 64 KiB.
    - Text if it was not JSON or is longer; null if none came.
  returned: always
  type: raw
msg:
  description: The verdict in one line; for a failure the check's name, what was seen and what to do.
  returned: always
  type: str
  sample: "rerank: 7 checks passed in 51 ms"
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._probes import argument_spec, run_module


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec=argument_spec("rerank"),
        mutually_exclusive=[["api_key", "api_key_file"]],
        supports_check_mode=True,
    )
    run_module(module, "rerank")


if __name__ == "__main__":
    main()
