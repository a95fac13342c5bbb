# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host


def test_docker_runs_now_and_after_a_boot(host: Host) -> None:
    unit = host.service("docker.service")
    assert unit.is_running
    assert unit.is_enabled
    assert host.check_output("docker version --format '{{.Server.Version}}'")


def test_options_of_others_are_kept(host: Host) -> None:
    daemon = host.file("/etc/docker/daemon.json")
    if daemon.exists:  # written by the side effect, before the second look
        options = json.loads(daemon.content_string)
        log = {"max-size": "1m", "max-file": "3"}
        assert options == {"debug": False, "live-restore": False, "log-opts": log}
        assert host.check_output("docker info --format '{{.LiveRestoreEnabled}}'") == "false"


def test_the_authority_of_the_site_is_trusted_at_its_mirrors(host: Host) -> None:
    ca = host.file("/etc/docker/certs.d/registry.example:5000/ca.crt")
    assert ca.content_string == "-----BEGIN CERTIFICATE-----\nbm8gcmVhbCBvbmU=\n-----END CERTIFICATE-----\n"
    assert (ca.user, ca.mode) == ("root", 0o644)
    assert host.check_output("ls /etc/docker/certs.d") == "registry.example:5000"
