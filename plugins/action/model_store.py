# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""List, verify and prune a model store, and show how far a check that takes long has come."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._model_follow import FollowedAction


class ActionModule(FollowedAction):
    """The action; its options are documented in the module of the same name."""

    module = "llmops.serving.model_store"

    def may_take_long(self, words: dict[str, t.Any]) -> bool:
        """Whether the store is to be read."""
        return bool(words.get("action") == "verify")
