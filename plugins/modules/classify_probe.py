#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `classify_probe`."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: classify_probe
short_description: Prove that a server classifies, with real texts
version_added: 0.1.0
description:
  - Classifies texts in one request and judges labels and probabilities.
  - Each text must get one label of the model's set, and probabilities from 0 to 1 that add up to 1.
  - The answers of infinity, vLLM, SGLang and TEI are understood.
    The route is looked for under C(/v1) first, then beside it.
extends_documentation_fragment:
  - llmops.serving._probe
options:
  texts:
    description: Texts to classify.
    type: list
    elements: str
    default:
      - I love this, it is wonderful!
      - This is terrible, I hate it.
  labels:
    description: The model's set of labels; any other label fails.
    type: list
    elements: str
  expect:
    description: Label that each of O(texts) must get, in their order.
    type: list
    elements: str
  multi_label:
    description: Whether the labels are independent of each other, so that their probabilities need not add up to 1.
    type: bool
    default: false
author:
  - llmops.serving contributors (@llmops-serving)
"""

EXAMPLES = r"""
- name: Does the server tell praise from blame?
  llmops.serving.classify_probe:
    url: http://127.0.0.1:8005/v1
    labels: [negative, neutral, positive]
    expect: [positive, negative]
"""

RETURN = r"""
probe:
  description: Name of the probe.
  returned: always
  type: str
  sample: classify
ok:
  description: Whether every check passed.
  returned: always
  type: bool
  sample: true
checks:
  description:
    - Every check in order, until one without which the rest means nothing.
    - Their names are C(models), C(answer), C(count), C(model),
      C(range), C(sum), C(label), C(labels), C(expect).
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check, the same in every run.
      type: str
      sample: label
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
  description: Label and probability of each text.
  returned: always
  type: str
  sample: "positive 0.999, negative 0.998"
model:
  description: Name of the model that was asked; empty if none could be chosen.
  returned: always
  type: str
  sample: sentiment
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
  sample: "classify: 8 checks passed in 22 ms"
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._probes import argument_spec, run_module


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec=argument_spec("classify"),
        mutually_exclusive=[["api_key", "api_key_file"]],
        supports_check_mode=True,
    )
    run_module(module, "classify")


if __name__ == "__main__":
    main()
