#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `benchmark_prepare`."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: benchmark_prepare
short_description: Get a server and its prompts ready for a benchmark
version_added: 0.1.0
description:
  - Learns from the server how many tokens words take, so that M(llmops.serving.benchmark_step) can send prompts of an
    exact length without a tokenizer.
  - Sends the warm-up requests, which are thrown away, for the first requests to an engine are slower than all others.
  - Asks the questions of the quality guard and judges the answers, for garbage can be fast.
extends_documentation_fragment:
  - llmops.serving._bench
options:
  warmup:
    description: Requests of the set lengths to send and throw away, the first alone and the rest at once.
    type: int
    default: 3
  questions:
    description: Questions to ask at temperature 0.
    type: list
    elements: dict
    default: []
    suboptions:
      prompt:
        description: The question.
        type: str
        required: true
      expect:
        description: Python regular expression that must be found in the answer.
        type: str
author:
  - llmops.serving contributors (@llmops-serving)
"""

EXAMPLES = r"""
- name: Prepare
  llmops.serving.benchmark_prepare:
    url: http://127.0.0.1:8000/v1
    model: qwen2.5-7b-instruct
    work:
      input_tokens: 256
      output_tokens: 128
      length: {ignore_eos: true, min_tokens: output_tokens}
    questions:
      - prompt: What is the capital of France?
        expect: Paris
  register: prepared
"""

RETURN = r"""
words:
  description: By word, the tokens it takes; empty for other tasks than chat and for fixed prompts.
  returned: success
  type: dict
  sample: {"water": 1, "house": 1}
overhead:
  description: Tokens of the chat template and of what stands before the words.
  returned: success
  type: int
  sample: 24
answers:
  description: The answers to O(questions), judged.
  returned: success
  type: list
  elements: dict
  contains:
    prompt:
      description: The question.
      type: str
    text:
      description: The answer, or the reasoning if no answer came yet.
      type: str
    ok:
      description: Whether it is text, no garbage, and holds what was expected.
      type: bool
    why:
      description: What is wrong with it; empty if nothing is.
      type: str
    tokens:
      description: Its tokens as the server counted them.
      type: int
warmup:
  description: The warm-up.
  returned: success
  type: dict
  contains:
    requests:
      description: How many were sent.
      type: int
    failed:
      description: How many of them had no whole answer.
      type: int
versions:
  description: Versions of what made the load.
  returned: success
  type: dict
  sample: {"python": "3.11.2", "aiohttp": "3.14.5"}
msg:
  description: For a failure what is wrong and what to do, in one line.
  returned: failure
  type: str
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._bench_prepare import PREPARE, prepare
from ansible_collections.llmops.serving.plugins.module_utils._bench_step import CONNECTION, run_module


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec={**CONNECTION, **PREPARE}, supports_check_mode=True)
    run_module(module, prepare)


if __name__ == "__main__":
    main()
