# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every server of a lab host is closed, and shows its key to nobody."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from tests.clients.lab_host import LabHost, chosen_host

PLACES = {
    "the arguments of a process": "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
    "its container": "docker inspect llmops-{server}",
    "the journal": "journalctl --no-pager",
    "a unit": "cat /etc/systemd/system/llmops-*.service",
    "its own record": "cat /var/lib/llmops/servers/{server}/*/server.json",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test for each server of the host."""
    servers = chosen_host().servers()
    metafunc.parametrize(("server", "asked"), list(servers.items()), ids=list(servers))
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", PLACES.values(), ids=list(PLACES))


@pytest.fixture(scope="module")
def lab_host() -> LabHost:
    """The host that is looked at."""
    return chosen_host()


def user_of(asked: dict[str, t.Any]) -> str:
    return str(definitions()[asked["engine"]]["user"])


def test_the_container_is_closed(lab_host: LabHost, server: str, asked: dict[str, t.Any]) -> None:
    shown = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.Privileged}} {{.Config.User}}"
    seen = lab_host.run(f"docker inspect --format '{shown}' llmops-{server}").strip()
    assert seen == f"true [ALL] false {user_of(asked)}"


def test_it_listens_where_it_is_bound_and_nowhere_else(lab_host: LabHost, server: str, asked: dict[str, t.Any]) -> None:
    listening = lab_host.run(f"ss -Hltn sport = :{asked['port']} | awk '{{print $4}}'").split()
    assert listening == [f"{asked['bind']}:{asked['port']}"], server


def test_a_server_with_a_key_wants_it(lab_host: LabHost, server: str, asked: dict[str, t.Any]) -> None:
    url = f"http://127.0.0.1:{asked['port']}{asked['guarded']}"
    status = lab_host.run(f"curl -s -o /dev/null -w '%{{http_code}}' {url}")
    assert status == ("200" if lab_host.key(server) == "dummy_key" else "401")


def test_the_key_is_nowhere_to_be_seen(lab_host: LabHost, server: str, asked: dict[str, t.Any], place: str) -> None:
    del asked
    key = lab_host.key(server)
    assert len(key) > 8
    # By way of a pipe, for an argument of grep would be seen itself.
    found = lab_host.run(
        f"{place.format(server=server)} | grep -cFf /var/lib/llmops/servers/{server}/current/client-key || true"
    )
    if key != "dummy_key":
        assert found.strip() == "0"


def test_what_it_keeps_between_starts_is_its_own(lab_host: LabHost, server: str, asked: dict[str, t.Any]) -> None:
    del server
    if asked["cache"]:
        assert lab_host.run(f"stat -c '%a %u:%g' {asked['cache']}").strip() == f"700 {user_of(asked)}"
