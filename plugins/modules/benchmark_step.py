#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `benchmark_step`."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: benchmark_step
short_description: Load a server at one level and measure it
version_added: 0.1.0
description:
  - Sends requests until both O(requests) and O(seconds) are reached, lets those under way end, and measures them.
  - The numbers are named and defined as C(vllm bench serve) does.
  - Errors, short answers and answers that broke off are counted, never dropped.
  - It watches itself. Where it was the bottleneck it says so and gives no times.
extends_documentation_fragment:
  - llmops.serving._bench
options:
  words:
    description: What M(llmops.serving.benchmark_prepare) returned under the same name.
    type: dict
    default: {}
  overhead:
    description: What M(llmops.serving.benchmark_prepare) returned under the same name.
    type: int
    default: 0
  repetition:
    description: Number of this repetition of the step; each has prompts of its own.
    type: int
    default: 1
  concurrency:
    description: Requests to keep under way. Mutually exclusive with O(rate).
    type: int
  rate:
    description: Requests a second in the mean, sent at random times (Poisson), answered or not the ones before.
    type: float
  requests:
    description: Least number of requests.
    type: int
    default: 30
  seconds:
    description: Least time to send requests.
    type: float
    default: 10.0
  max_seconds:
    description: Time after which no request is sent any more, whatever O(requests) says.
    type: float
    default: 300.0
  limits:
    description: Beyond which the client itself counts as the bottleneck.
    type: dict
    default: {}
    suboptions:
      cpu_share:
        description: Share of one core that its process may use.
        type: float
        default: 0.9
      lateness:
        description:
          - How late it may hear of an answer, in the median, as a share of what it measures (the median time between
            two pieces of an answer, or of a whole answer that comes in one piece).
          - Up to a millisecond is never too late, since any process on a busy machine is as late as that.
        type: float
        default: 0.05
author:
  - llmops.serving contributors (@llmops-serving)
"""

EXAMPLES = r"""
- name: Measure at 4 requests at once
  llmops.serving.benchmark_step:
    url: http://127.0.0.1:8000/v1
    model: qwen2.5-7b-instruct
    work:
      input_tokens: 256
      output_tokens: 128
      length: {ignore_eos: true, min_tokens: output_tokens}
    words: "{{ prepared.words }}"
    overhead: "{{ prepared.overhead }}"
    concurrency: 4

- name: Measure embeddings at 2 requests a second
  llmops.serving.benchmark_step:
    url: http://127.0.0.1:8005/v1
    model: bge-m3
    work: {task: embedding, input_tokens: 128, batch: 8}
    rate: 2.0
"""

RETURN = r"""
step:
  description: The step.
  returned: success
  type: dict
  contains:
    concurrency:
      description: Requests that were kept under way; null for a rate.
      type: int
    rate:
      description: Requests a second; null for a concurrency.
      type: float
    repetition:
      description: As given.
      type: int
    began:
      description: When it began, in seconds since 1970.
      type: float
    seconds:
      description: From the sending of the first request to the end of the last.
      type: float
    requests:
      description:
        - How many were C(sent), and how many of them were C(good), C(failed) (an error, a timeout, no text), C(short)
          (ended before the length that was to be kept) or C(cut) (the stream broke off).
      type: dict
    errors:
      description: Each different error under C(what), with its C(count).
      type: list
      elements: dict
    tokens:
      description:
        - Tokens of good and short requests, C(input) and C(output).
        - C(set_input) is what a prompt shall take; null where none is set. C(off_input) counts the requests for which
          the server says otherwise. C(chunks) are the pieces of the answers.
        - C(from) is V(usage) if the server counted, V(stream) if it did not and pieces stand for tokens.
      type: dict
    items:
      description: For embeddings the texts, for rankings the documents that were answered.
      type: int
    samples:
      description:
        - One entry for each good or short request in order of sending, under C(ttft_ms), C(tpot_ms), C(e2el_ms),
          C(output_tokens) and C(itl_ms) (the median of the request). Null is what a request does not have.
        - For embeddings and rankings C(e2el_ms) alone.
        - Empty if the client was the bottleneck.
      type: dict
    itl:
      description:
        - All times between two pieces of an answer, with C(mean_ms), C(p50_ms), C(p90_ms), C(p99_ms), C(count) and a
          C(histogram) of C(edges_ms) and C(counts).
        - Empty if there are none, or if the client was the bottleneck.
      type: dict
    client:
      description:
        - How the load client fared. C(cpu_share) of one core, and how late it was (C(late_p50_ms), C(late_p99_ms),
          C(late_max_ms)).
        - C(bottleneck) says whether that was too much, C(why) which limit and what to do.
      type: dict
    prompts:
      description: SHA-256 over all prompts in order.
      type: str
msg:
  description: For a failure what is wrong and what to do, in one line.
  returned: failure
  type: str
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._bench_step import CONNECTION, STEP, run_module, run_step


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={**CONNECTION, **STEP},
        mutually_exclusive=[["concurrency", "rate"]],
        required_one_of=[["concurrency", "rate"]],
        supports_check_mode=True,
    )
    run_module(module, lambda endpoint, options: {"step": run_step(endpoint, options)})


if __name__ == "__main__":
    main()
