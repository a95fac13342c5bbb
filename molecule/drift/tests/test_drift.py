# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host


def test_what_left_the_inventory_is_gone(host: Host) -> None:
    assert host.check_output("ls /var/lib/llmops/servers") == "chat"
    assert not host.file("/etc/systemd/system/llmops-vectors.service").exists
    assert host.check_output("docker ps --format '{{.Names}}'") == "llmops-chat"


def test_what_was_done_by_hand_is_undone(host: Host) -> None:
    assert not host.file("/etc/systemd/system/llmops-chat.service").contains("Nice=5")
    assert host.service("docker").is_enabled


def test_the_server_serves_what_was_locked(host: Host) -> None:
    image = host.check_output("docker inspect --format '{{.Config.Image}}' llmops-chat")
    assert image.startswith("registry.lab:5000/ghcr.io/ggml-org/llama.cpp@sha256:")
