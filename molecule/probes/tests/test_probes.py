# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host


def test_asking_changed_nothing(host: Host) -> None:
    for name in ("chat", "embed"):
        assert host.check_output(f"readlink /var/lib/llmops/servers/{name}/current") == "0001"
