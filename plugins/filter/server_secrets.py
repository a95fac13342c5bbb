# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: server_secrets
short_description: Find what of a server must not be seen
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - The secrets of one server, apart from P(llmops.serving.server_plans#filter), whose result may be stored and shown.
options:
  _input:
    description: One server, as in C(serving_servers).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Count the secret files of a server
  ansible.builtin.debug:
    msg: "{{ (serving_servers[0] | llmops.serving.server_secrets).files | length }}"
"""

RETURN = r"""
_value:
  description: C(files) by name, and C(client_key), as the module M(llmops.serving.server) takes them.
  type: dict
"""

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._plan import server_secrets as secrets_of
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

if t.TYPE_CHECKING:
    from collections.abc import Callable


def server_secrets(server: dict[str, t.Any]) -> dict[str, t.Any]:
    """Find what of a server must not be seen."""
    return secrets_of(server, Site(models={}, model_dir="", registries={}, accelerator="", engines=definitions()))


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"server_secrets": server_secrets}
