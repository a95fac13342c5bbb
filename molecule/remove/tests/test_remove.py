# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing of the collection is left, and everything of others is."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host

# What others had made, and the lab's own certificates.
THEIRS = [
    "/etc/ssl/certs/llmops-lab.pem",
    "/etc/systemd/system/llmops-theirs.service",
    "/etc/systemd/system/multi-user.target.wants/llmops-theirs.service",
    "/usr/local/share/ca-certificates/llmops-lab.crt",
    "/var/lib/llmops",
]


def test_no_file_of_such_a_name_is_left(host: Host) -> None:
    skipped = "-path /proc -prune -o -path /sys -prune -o -path /var/lib/docker -prune -o -path /var/log/journal -prune"
    found = host.check_output(f"find / {skipped} -o -name '*llmops*' -print").splitlines()
    assert sorted(path for path in found if not path.startswith("/root/.ansible")) == THEIRS


def test_only_what_others_keep_there_is_left(host: Host) -> None:
    found = host.check_output("find /var/lib/llmops -type f").splitlines()
    assert sorted(found) == ["/var/lib/llmops/models/theirs/weights.gguf", "/var/lib/llmops/theirs.txt"]


def test_systemd_knows_no_unit_of_ours(host: Host) -> None:
    names = host.check_output("systemctl list-units --all --plain --no-legend 'llmops-*'").split("\n")
    assert [name for name in names if name and not name.startswith("llmops-theirs.service")] == []


def test_docker_has_only_what_others_made(host: Host) -> None:
    assert host.check_output("docker ps --all --format '{{.Names}}'") == "llmops-theirs"
    assert host.check_output("docker images --format '{{.Repository}}'") == "theirs"


def test_no_rule_of_the_firewall_is_left(host: Host) -> None:
    assert "LLMOPS" not in host.check_output("iptables -S")


def test_no_process_is_left(host: Host) -> None:
    assert host.run("pgrep -fa 'llama-server|lib/llmops'").stdout == ""
