# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the modules of a benchmark share."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of the connection and of the work, attributes and notes."""

    DOCUMENTATION = r"""
options:
  url:
    description: Address of the server's API, for instance V(http://127.0.0.1:8000/v1).
    type: str
    required: true
  api_key:
    description: Key to send as bearer token. Leave it out for a server without a key.
    type: str
  ca_path:
    description: PEM file, or directory prepared by C(c_rehash), of further certificate authorities to trust.
    type: path
  model:
    description: Name of the model to ask, as the server lists it under C(/models).
    type: str
    required: true
  work:
    description: What each request asks for.
    type: dict
    required: true
    suboptions:
      task:
        description: Kind of request.
        type: str
        choices: [chat, embedding, rerank]
        default: chat
      input_tokens:
        description:
          - For chat, what the server shall count as tokens of the prompt, the chat template included.
          - For the other tasks, the words of one text, since tokenizers differ and texts do not.
        type: int
        default: 256
      output_tokens:
        description: For chat, most tokens of an answer, and with C(length) their exact number. Unset, no limit is set.
        type: int
      shared_tokens:
        description:
          - Tokens of a beginning that all prompts have in common, within C(input_tokens).
          - With V(0) no cache of prefixes can help.
        type: int
        default: 0
      batch:
        description: Texts of a request for embeddings, documents of a request for a ranking.
        type: int
        default: 1
      prompts:
        description: Texts to send as they are, in turn, in the place of made ones.
        type: list
        elements: str
        default: []
      length:
        description:
          - Further fields of a request that keep an answer at its full length, as the engine calls them.
          - The value V(output_tokens) stands for the number.
        type: dict
        default: {}
  libraries:
    description: Folder that is searched for aiohttp before the interpreter's own packages.
    type: path
  timeout:
    description: Seconds without a byte after which a request has failed.
    type: float
    default: 60.0
  seed:
    description: Where the random words of the prompts and the random times of sending begin.
    type: int
    default: 1
requirements:
  - aiohttp >= 3.13
attributes:
  check_mode:
    description: Can run in check mode; it only asks, so it does the same then.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: none
  platform:
    description: Target systems.
    support: full
    platforms: posix
notes:
  - No proxy from the environment is used and no redirect followed, so the answer is that of the server in O(url).
"""
