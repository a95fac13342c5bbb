# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server as its unit and its container show it."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host

NAME = "sglang"


def key(host: Host) -> str:
    return str(host.file(f"/var/lib/llmops/servers/{NAME}/current/client-key").content_string)


def test_the_container_is_closed(host: Host) -> None:
    shown = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.Config.User}}"
    inside = host.check_output(f"docker inspect --format '{shown}' llmops-{NAME}")
    assert inside == "true [ALL] 65532:65532"


def test_it_listens_on_loopback_alone(host: Host) -> None:
    assert host.socket("tcp://127.0.0.1:8003").is_listening
    assert not host.socket("tcp://0.0.0.0:8003").is_listening


def test_the_key_is_nowhere_to_be_seen(host: Host) -> None:
    assert len(key(host)) > 10
    for place in (
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
        f"docker inspect llmops-{NAME}",
        "journalctl --no-pager",
        "cat /etc/systemd/system/llmops-*.service",
    ):
        assert key(host) not in host.check_output(place)


def test_it_wants_its_key(host: Host) -> None:
    answer = host.check_output("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8003/v1/models")
    assert answer == "401"


def test_what_it_keeps_is_its_own(host: Host) -> None:
    cache = host.file(f"/var/lib/llmops/servers/{NAME}/cache")
    assert cache.mode == 0o700
    assert f"{cache.uid}:{cache.gid}" == "65532:65532"
