# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Offer a host's models to the others: certificate and token are made here, for this one task, and written nowhere."""

from __future__ import annotations

import secrets
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.llmops.serving.plugins.plugin_utils._certificate import certificate_for
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain

_MODULE: t.Final = "llmops.serving.model_share"
# The module's own words, which only this action may say.
_MADE: t.Final = ("certificate", "key", "token")


class ActionModule(ActionBase):
    """The action; its options are documented in the module of the same name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the action."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        words = {name: value for name, value in plain(dict(self._task.args)).items() if name not in _MADE}
        if words.get("state") == "stopped" or self._task.check_mode:
            return result | self._module(words, task_vars)
        addresses = words.get("addresses") or []
        if not addresses:
            return result | _warned("addresses: empty, so nobody could find it; set models_share_address")
        pair, token = certificate_for(addresses), secrets.token_urlsafe(32)
        made = {"certificate": pair.certificate, "key": pair.key, "token": token}
        done = self._module(words | made, task_vars)
        # The call repeats what was passed to it.
        done.pop("invocation", None)
        if done.get("failed"):
            return result | _warned(str(done.get("msg", "model_share failed")))
        if not done.get("port"):
            return result | done
        host = self._name(task_vars)
        done["process"]["host"] = host
        done["peer"] = {
            "name": host,
            "urls": [f"https://{_bracketed(address)}:{done['port']}" for address in addresses],
            "token": token,
            "certificate": pair.certificate,
            "manifests": done["manifests"],
        }
        # Registered it holds the token; no callback, log or artifact sees it.
        return result | done | {"_ansible_no_log": True}

    def _name(self, task_vars: dict[str, t.Any] | None) -> str:
        """Give the inventory's name of the host that offers, which is another one when the task is delegated."""
        return str(self._task.delegate_to or (task_vars or {}).get("inventory_hostname", ""))

    def _module(self, words: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        done: dict[str, t.Any] = self._execute_module(module_name=_MODULE, module_args=words, task_vars=task_vars)
        return done


def _warned(text: str) -> dict[str, t.Any]:
    """Tell why nothing is offered. It is no failure: the others ask the hub then."""
    return {"changed": False, "manifests": {}, "port": 0, "warnings": [f"nothing is offered to the others: {text}"]}


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
