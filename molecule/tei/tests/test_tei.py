# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host


def test_showing_changed_nothing(host: Host) -> None:
    assert host.check_output("find /etc/systemd/system -name '*llmops*'") == ""
    assert not host.exists("docker")
