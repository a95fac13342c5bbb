# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every server of a lab host is closed, and shows its key to nobody."""

from __future__ import annotations

import functools
import json
import re
import typing as t

import pytest
import requests

from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint
from ansible_collections.llmops.serving.plugins.module_utils._security import look
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._exposure import routes_of
from tests.clients.cis import CHECKS, Container
from tests.clients.lab_host import NO_KEY, LabHost, chosen_host
from tests.clients.planted import search_host

if t.TYPE_CHECKING:
    from collections.abc import Callable

_PARAMETER = re.compile(r"\{[^}]*\}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test for each server of the host."""
    servers = chosen_host().servers()
    metafunc.parametrize(("server", "asked"), list(servers.items()), ids=list(servers))


@pytest.fixture(scope="module")
def lab_host() -> LabHost:
    """The host that is looked at."""
    return chosen_host()


def user_of(asked: dict[str, t.Any]) -> str:
    return str(definitions()[asked["engine"]]["user"])


@pytest.fixture(scope="module")
def containers(lab_host: LabHost) -> Callable[[str, dict[str, t.Any]], Container]:
    """Give what is known of a server's container; each is looked at once."""

    @functools.cache
    def look_at(server: str, bind: str, port: int) -> Container:
        inspected = json.loads(lab_host.run(f"docker inspect llmops-{server}"))[0]
        info = json.loads(lab_host.run("docker info --format '{{json .}}'"))
        rows = lab_host.run(f"docker top llmops-{server} -eo pid,comm").splitlines()[1:]
        programs = [row.split()[-1] for row in rows]
        return Container(inspected, info, programs, bind, port)

    return lambda server, asked: look_at(server, asked["bind"], asked["port"])


def test_the_container_passes_or_its_definition_says_why_not(
    containers: Callable[[str, dict[str, t.Any]], Container], server: str, asked: dict[str, t.Any]
) -> None:
    container = containers(server, asked)
    failed = {number for number, passes in CHECKS.items() if not passes(container)}
    # A waiver that nothing needs is one as well that nobody would notice when it is.
    assert failed == set(definitions()[asked["engine"]]["waivers"])


def test_the_container_runs_as_its_own_user(
    containers: Callable[[str, dict[str, t.Any]], Container], server: str, asked: dict[str, t.Any]
) -> None:
    assert containers(server, asked).inspected["Config"]["User"] == user_of(asked)


def test_it_listens_where_it_is_bound_and_nowhere_else(lab_host: LabHost, server: str, asked: dict[str, t.Any]) -> None:
    listening = lab_host.run(f"ss -Hltn sport = :{asked['port']} | awk '{{print $4}}'").split()
    assert listening == [f"{asked['bind']}:{asked['port']}"], server


def test_no_stranger_is_answered(lab_host: LabHost, server: str, asked: dict[str, t.Any]) -> None:
    routes = routes_of(definitions()[asked["engine"]])
    key = lab_host.key(server)
    with lab_host.reach(asked["port"]) as root:
        report = look(Endpoint(root, api_key=key, timeout=30), routes)
    inference = [route for route in routes if route["kind"] == "inference" and not route["open"]]
    if key == NO_KEY:
        # Proves that the probe sees what is open; such a server is bound to the host's own loopback.
        assert {finding.path for finding in report.findings} >= {asked["guarded"]}
        return
    # What an engine leaves open is what its definition says, no more.
    known = {f"{route['method']} {route['path']}" for route in routes if route["open"]}
    assert set(report.answering) <= known
    assert {finding.kind for finding in report.findings} <= {"inference", "admin"}
    assert f"GET {asked['guarded']}" in report.refused
    assert len(report.refused) > len(inference)


def test_every_route_is_known(lab_host: LabHost, server: str, asked: dict[str, t.Any]) -> None:
    known = {route["path"] for route in routes_of(definitions()[asked["engine"]])}
    with lab_host.reach(asked["port"]) as root:
        answers = [
            requests.get(root + path, headers={"Authorization": f"Bearer {lab_host.key(server)}"}, timeout=30)
            for path in ("/openapi.json", "/v1/openapi.json")
        ]
    listed = {path for answer in answers if answer.ok for path in answer.json()["paths"]}
    assert {_PARAMETER.sub("{}", path) for path in listed} <= {_PARAMETER.sub("{}", path) for path in known}
    # llama.cpp alone publishes no list.
    assert listed or asked["engine"] == "llama_cpp"


def test_the_key_lies_in_its_own_files_alone(lab_host: LabHost, server: str, asked: dict[str, t.Any]) -> None:
    del asked
    key = lab_host.key(server)
    if key == NO_KEY:
        return
    found = search_host(lab_host.run, [key])
    assert found.seen == []
    # The container's and the gate's; servers may share a key.
    assert len([path for path in found.own if path.startswith(f"/var/lib/llmops/servers/{server}/")]) >= 2


def test_what_it_keeps_between_starts_is_its_own(lab_host: LabHost, server: str, asked: dict[str, t.Any]) -> None:
    del server
    if asked["cache"]:
        assert lab_host.run(f"stat -c '%a %u:%g' {asked['cache']}").strip() == f"700 {user_of(asked)}"
