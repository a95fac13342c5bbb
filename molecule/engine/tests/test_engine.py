# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host

STORE = "/var/lib/llmops/servers/chat"


def test_the_unit_in_place_is_that_of_the_current_generation(host: Host) -> None:
    unit = host.file("/etc/systemd/system/llmops-chat.service").content_string
    assert unit == host.file(f"{STORE}/current/unit").content_string
    assert host.service("llmops-chat.service").is_running


def test_systemd_has_nothing_to_say_against_the_unit(host: Host) -> None:
    done = host.run("systemd-analyze verify /etc/systemd/system/llmops-chat.service 2>&1 | grep llmops-chat")
    assert done.stdout == ""


def test_no_failed_generation_is_left(host: Host) -> None:
    current = host.check_output(f"readlink {STORE}/current")
    newest = host.check_output(f"ls {STORE} | grep '^0' | tail -1")
    assert current == newest
