# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put the collection into the wheel, but not into an editable install."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CarryCollection(BuildHookInterface):  # type: ignore[type-arg]
    """Carries what `tool.hatch.build.targets.wheel.hooks.custom.carried` of pyproject.toml names.

    Hatch's own `force-include` does the same, for editable installs too: there it would leave a copy of the collection
    in site-packages that nobody brings up to date, and that Ansible finds from every folder but the checkout.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files to the wheel.

        Args:
            version: The kind of wheel, `standard` or `editable`.
            build_data: What hatch is about to build; changed in place.
        """
        if version != "editable":
            build_data["force_include"] |= self.config["carried"]
