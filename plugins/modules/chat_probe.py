#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `chat_probe`."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: chat_probe
short_description: Prove that a server chats, with a real conversation
version_added: 0.1.0
description:
  - Asks a server with the OpenAI API a question and judges the answer by meaning, whole and streamed.
    A healthy status proves nothing.
  - The answer must be text that is neither empty, nor one token repeated, nor unprintable.
  - It must come from the model that was asked, with a known C(finish_reason) and token counts that add up.
  - Streamed, it must come in two or more pieces that join to such an answer.
    The stream must end with a C(finish_reason) and C([DONE]).
  - Whether the chat template takes a C(system) message is told, never failed.
  - A reasoning model may still be in its reasoning when O(max_tokens) ends it; that passes unless O(expect) is given.
extends_documentation_fragment:
  - llmops.serving._probe
options:
  prompt:
    description: Question to ask, with temperature 0.
    type: str
    default: What is the capital of France?
  max_tokens:
    description: Most tokens to generate for one answer. Requests for JSON and for tool calls may take 256.
    type: int
    default: 64
  expect:
    description:
      - Python regular expression that must be found in the answer.
      - V((?i\)paris) ignores case.
    type: str
  tool_call:
    description: Offer a tool and demand that the engine gives back a parsed call of it, not its text.
    type: bool
    default: false
  json_schema:
    description:
      - Ask for an answer of this JSON schema (C(response_format)) and validate it.
      - C(type), C(enum), C(const), C(required), C(properties), C(additionalProperties=false), C(items),
        C(minItems) and C(maxItems) are judged. Other keywords are only passed to the server.
    type: dict
author:
  - llmops.serving contributors (@llmops-serving)
"""

EXAMPLES = r"""
- name: Does the server chat?
  llmops.serving.chat_probe:
    url: http://127.0.0.1:8001/v1

- name: Does it know the capital, and call tools?
  llmops.serving.chat_probe:
    url: https://llm.example.org/v1
    model: qwen2.5-7b-instruct
    api_key: "{{ llm_api_key }}"
    expect: Paris
    tool_call: true

- name: Does it keep to a schema?
  llmops.serving.chat_probe:
    url: http://127.0.0.1:8000/v1
    api_key_file: /etc/llmops/chat.key
    json_schema:
      type: object
      required: [capital]
      properties:
        capital: {type: string}
"""

RETURN = r"""
probe:
  description: Name of the probe.
  returned: always
  type: str
  sample: chat
ok:
  description: Whether every check passed.
  returned: always
  type: bool
  sample: true
checks:
  description:
    - Every check in order, until one without which the rest means nothing.
    - Their names are C(models), C(answer), C(text), C(finish_reason), C(usage), C(model), C(expect), C(system_role),
      C(stream), C(stream_text), C(stream_end), C(sampled), C(tool_call), C(json_schema).
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check, the same in every run.
      type: str
      sample: stream_end
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
  description: The answer's first 200 characters.
  returned: always
  type: str
  sample: "The capital of France is Paris."
model:
  description: Name of the model that was asked; empty if none could be chosen.
  returned: always
  type: str
  sample: qwen2.5-0.5b-q4
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
  sample: "chat: 10 checks passed in 413 ms"
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._probes import argument_spec, run_module


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec=argument_spec("chat"),
        mutually_exclusive=[["api_key", "api_key_file"]],
        supports_check_mode=True,
    )
    run_module(module, "chat")


if __name__ == "__main__":
    main()
