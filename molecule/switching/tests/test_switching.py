# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host


def test_it_came_round(host: Host) -> None:
    record = json.loads(host.file("/var/lib/llmops/servers/chat/current/server.json").content_string)
    assert record["asked"]["engine"] == "vllm"
    # One generation for each engine, and one for the way back.
    assert host.check_output("basename $(readlink -f /var/lib/llmops/servers/chat/current)") == "0005"


def test_one_container_is_left(host: Host) -> None:
    assert host.check_output("docker ps --all --format '{{.Names}}'") == "llmops-chat"
