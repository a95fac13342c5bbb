# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Give a host the HTTP library of the load client: what its Python needs, packed on the controller."""

from __future__ import annotations

import os
import tempfile
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.llmops.serving.plugins.plugin_utils._wheels import PackError, Python, pack

_MODULE: t.Final = "llmops.serving.benchmark_client"


class ActionModule(ActionBase):
    """The action; its options are documented in the module of the same name."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the action."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        words = dict(self._task.args)
        looked = self._module(words, task_vars)
        if looked.get("failed") or looked["there"] or words.get("state") == "absent":
            return result | looked
        if self._task.check_mode:
            return result | looked | {"changed": True}
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmops-wheels"
        with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
            archive = Path(folder) / "client.tar"
            try:
                pack(Python(**looked["python"]), archive, cache)
            except (PackError, OSError) as exc:
                return result | {"failed": True, "msg": str(exc)}
            remote = self._connection._shell.join_path(self._make_tmp_path(), "client.tar")
            self._transfer_file(str(archive), remote)  # type: ignore[no-untyped-call]
            self._fixup_perms2((self._connection._shell.tmpdir, remote))  # type: ignore[no-untyped-call]
            return result | self._module(words | {"archive": remote}, task_vars)

    def _module(self, words: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        done: dict[str, t.Any] = self._execute_module(module_name=_MODULE, module_args=words, task_vars=task_vars)
        return done
