#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `embedding_probe`."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: embedding_probe
short_description: Prove that a server embeds, with real texts
version_added: 0.1.0
description:
  - Embeds three texts in one request and one of them alone, and judges the vectors.
  - There must be one vector for each text, of one dimension, finite, not constant, the same alone and in a batch,
    and a text must be nearer to one of like meaning than to a foreign one.
  - Vectors as lists and as base64 are understood.
extends_documentation_fragment:
  - llmops.serving._probe
options:
  text:
    description: Text that the others are compared with.
    type: str
    default: A cat sits on the mat.
  near:
    description: Text of like meaning.
    type: str
    default: A kitten is resting on a rug.
  far:
    description: Text of another meaning.
    type: str
    default: The stock market fell sharply today.
  dimension:
    description: Dimension that the vectors must have.
    type: int
  semantic:
    description: Whether O(near) must be nearer than O(far). Set it to V(false) for an untrained model.
    type: bool
    default: true
  tolerance:
    description: By how much the cosine between a text's vector alone and in a batch may fall short of 1.
    type: float
    default: 0.01
  encoding_format:
    description: Form of the vectors to ask for. Unset, the server chooses.
    type: str
    choices: [float, base64]
author:
  - llmops.serving contributors (@llmops-serving)
"""

EXAMPLES = r"""
- name: Does the server embed with meaning?
  llmops.serving.embedding_probe:
    url: http://127.0.0.1:8005/v1
    dimension: 384

- name: The same for one of several models, with texts of the trade
  llmops.serving.embedding_probe:
    url: http://127.0.0.1:8005/v1
    model: user-bge-m3
    text: Как оформить возврат товара?
    near: Порядок возврата покупки в магазин
    far: Расписание электричек на выходные
"""

RETURN = r"""
probe:
  description: Name of the probe.
  returned: always
  type: str
  sample: embedding
ok:
  description: Whether every check passed.
  returned: always
  type: bool
  sample: true
checks:
  description:
    - Every check in order, until one without which the rest means nothing.
    - Their names are C(models), C(answer), C(count), C(equal_dimension), C(dimension), C(model),
      C(finite), C(not_constant), C(batch_equals_single), C(semantic).
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check, the same in every run.
      type: str
      sample: semantic
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
  description: Dimension and first elements of the first vector.
  returned: always
  type: str
  sample: "384 dimensions: 0.1306, -0.0104, -0.0333, 0.0231"
model:
  description: Name of the model that was asked; empty if none could be chosen.
  returned: always
  type: str
  sample: minilm
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
  sample: "embedding: 9 checks passed in 38 ms"
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._probes import argument_spec, run_module


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec=argument_spec("embedding"),
        mutually_exclusive=[["api_key", "api_key_file"]],
        supports_check_mode=True,
    )
    run_module(module, "embedding")


if __name__ == "__main__":
    main()
