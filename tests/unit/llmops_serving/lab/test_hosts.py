# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmops_serving.lab import hosts, services
from llmops_serving.lab.errors import LabError
from llmops_serving.lab.machine import AptAccess, Machine, PipAccess
from llmops_serving.lab.state import HostFacts, Paths

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["lab1", "a", "my-host-2"])
def test_good_names(name: str) -> None:
    hosts.check_name(name)


@pytest.mark.parametrize("name", ["", "Lab1", "-a", "a-", "a.b", "a b", "x" * 60, "../x"])
def test_bad_names(name: str) -> None:
    with pytest.raises(LabError, match="small letters"):
        hosts.check_name(name)


def test_ports_of_hosts_do_not_collide() -> None:
    taken: set[int] = set()
    for index in (1, 2, 2, 3):
        ssh, servers = hosts.choose_ports(index, taken)
        assert set(servers) == set(hosts.SERVER_PORTS)
        new = {ssh, *servers.values()}
        assert len(new) == 1 + len(hosts.SERVER_PORTS)
        assert not new & taken
        taken |= new


def test_capabilities_leave_out_what_build_machines_lack() -> None:
    assert not {"SYS_RESOURCE", "PERFMON", "BPF", "CHECKPOINT_RESTORE"} & set(hosts.CAPABILITIES)
    assert "SYS_ADMIN" in hosts.CAPABILITIES


def test_known_hosts_are_by_published_port() -> None:
    text = hosts.known_hosts(
        {"lab1": "ssh-ed25519 AAAA root@lab1\necdsa-sha2-nistp256 BBBB root@lab1\n", "gone": "ssh-ed25519 CCCC x"},
        {"lab1": HostFacts("bookworm", 12201, {})},
    )
    assert text.splitlines() == ["[127.0.0.1]:12201 ssh-ed25519 AAAA", "[127.0.0.1]:12201 ecdsa-sha2-nistp256 BBBB"]


def test_a_host_gets_this_sites_settings_when_it_starts(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.make()
    paths.ca_cert.write_text("LAB CA")
    paths.ssh_key.with_suffix(".pub").write_text("ssh-ed25519 KEY")
    machine = Machine(
        apt=AptAccess("http://m/debian", "http://s", 'Acquire::http::Proxy "p";\n'),
        pip=PipAccess("", {}),
        ca_bundle=None,
        site_cas={"own.crt": "SITE CA"},
        proxies={"http_proxy": "http://p"},
    )
    service = hosts.describe("lab1", HostFacts("trixie", 12201, {8001: 18001}), machine, paths)
    assert service.files["etc/apt/sources.list"][0].startswith(b"deb http://m/debian trixie main\n")
    assert service.files["etc/apt/apt.conf.d/90lab"][0] == b'Acquire::http::Proxy "p";\n'
    assert service.files["root/.ssh/authorized_keys"] == (b"ssh-ed25519 KEY", 0o600)
    assert service.files["usr/local/share/ca-certificates/llmops-lab.crt"][0] == b"LAB CA"
    assert service.files["usr/local/share/ca-certificates/site-own.crt"][0] == b"SITE CA"
    assert service.files["etc/environment"][0] == b"http_proxy=http://p\n"
    # A host that restarts itself comes up again, on the same ports.
    assert services.RESTART == {"Name": "unless-stopped"}
    assert service.ports == {22: 12201, 8001: 18001}
    other = hosts.describe("lab1", HostFacts("trixie", 12201, {8001: 18002}), machine, paths)
    assert service.identity != other.identity
