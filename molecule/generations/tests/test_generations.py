# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host

CHAT = "/var/lib/llmops/servers/chat"


def is_first(host: Host) -> bool:
    name: str = host.check_output("hostname")
    return name.endswith("-1")


def test_each_host_has_what_it_was_brought_to(host: Host) -> None:
    current = host.check_output(f"readlink {CHAT}/current")
    assert current == ("0002" if is_first(host) else "0001")
    unit = host.file("/etc/systemd/system/llmops-chat.service").content_string
    assert unit == host.file(f"{CHAT}/{current}/unit").content_string
    assert f"--ctx-size {512 if is_first(host) else 1024} " in unit


def test_it_serves(host: Host) -> None:
    assert host.service("llmops-chat").is_running
    assert host.check_output("curl -fsS http://127.0.0.1:8001/health")


def test_nothing_is_under_way(host: Host) -> None:
    assert not host.file(f"{CHAT}/change.json").exists


def test_what_failed_is_there_for_inspection_and_nobody_else_reads_its_words(host: Host) -> None:
    failed = f"{CHAT}/0003"
    assert host.file(failed).exists == is_first(host)
    if is_first(host):
        record = json.loads(host.file(f"{failed}/server.json").content_string)
        assert record["failed"]["check"] == "chat probe of broken-chat"
        assert host.file(f"{failed}/log").mode == 0o600
        assert host.file(f"{failed}/log").size > 0
