# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module security_probe, run as Ansible runs it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils._security_run import ARGUMENTS, reaches
from ansible_collections.llmops.serving.plugins.modules import security_probe
from tests.unit.plugins.fake_engine import FakeEngine, Reply, Request, as_json
from tests.unit.plugins.run_module import run_module

KEY = "Sk-hunter2"
ROUTES = [{"path": "/v1/models", "method": "GET", "kind": "info"}, {"path": "/rerank"}]


def guarded(request: Request) -> Reply:
    return as_json({}, 200 if request.headers.get("Authorization") == f"Bearer {KEY}" else 401)


def engine(rerank: int = 401) -> FakeEngine:
    return FakeEngine({"GET /v1/models": guarded, "POST /rerank": as_json({}, rerank)})


@pytest.mark.parametrize("check", [False, True])
def test_a_closed_server_passes_and_nothing_changes(check: bool) -> None:
    with engine() as server:
        status, result = run_module(
            "security_probe", url=server.root, api_key=KEY, routes=ROUTES, _ansible_check_mode=check
        )
    assert (status, result["changed"], result["findings"]) == (0, False, []), result["msg"]
    assert result["refused"] == ["GET /v1/models", "POST /rerank"]
    assert result["msg"].startswith("closed: 2 routes refuse strangers, 0 answer")
    assert KEY not in str(result)


def test_an_open_route_fails_unless_it_is_accepted(tmp_path: Any) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n", encoding="utf-8")
    with engine(rerank=422) as server:
        words: dict[str, Any] = {"url": server.root, "api_key_file": str(file), "routes": ROUTES}
        status, result = run_module("security_probe", **words)
        accepting, _result = run_module("security_probe", **words, accept_open_routes=["/rerank"])
    assert (status, accepting) == (1, 0)
    (finding,) = result["findings"]
    assert (finding["path"], finding["kind"], finding["sent"], finding["status"]) == (
        "/rerank", "inference", "no key", 422,
    )  # fmt: skip
    assert result["msg"].startswith("POST /rerank answers 422 with no key; ")
    assert "accept_open_routes to [/rerank]" in result["msg"]


def test_an_address_that_can_be_reached_fails() -> None:
    with FakeEngine() as server:
        address = server.root.rpartition("/")[2]
        status, result = run_module("security_probe", closed_at=[address])
    assert status == 1
    assert result["msg"].startswith(f"{address} can be reached from here; check bind and allowed_networks")
    assert [finding["seen"] for finding in result["findings"]] == [f"{address} can be reached"]
    status, result = run_module("security_probe", closed_at=[address])
    assert status == 0, result["msg"]
    assert "1 addresses out of reach" in result["msg"]


def test_an_address_of_ipv6_is_taken() -> None:
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        listener.listen()
        assert reaches(f"[::1]:{listener.getsockname()[1]}", 5)


BAD = [
    ({}, "one of the following is required: routes, closed_at"),
    ({"routes": ROUTES}, "missing parameter(s) required by 'routes': url"),
    ({"url": "http://127.0.0.1:9", "routes": [{"method": "GET"}]}, "missing required arguments: path"),
    ({"closed_at": ["10.0.0.5"]}, "closed_at: '10.0.0.5' is no address with a port; write it as 10.0.0.5:8000"),
    ({"closed_at": ["127.0.0.1:9"], "api_key_file": "/no/such"}, "cannot read api_key_file /no/such: No such file"),
    ({"url": "http://127.0.0.1:9", "routes": ROUTES}, "connection refused; check the address and the port"),
]


@pytest.mark.parametrize(("parameters", "words"), BAD)
def test_what_cannot_be_judged_fails(parameters: dict[str, Any], words: str) -> None:
    status, result = run_module("security_probe", **parameters)
    assert (status, result["failed"]) == (1, True)
    assert words in result["msg"]


def test_it_is_documented() -> None:
    words = ("type", "default", "elements", "choices")
    said = yaml.safe_load(security_probe.DOCUMENTATION)["options"]
    for options, arguments in ((said, ARGUMENTS), (said["routes"]["suboptions"], ARGUMENTS["routes"]["options"])):
        assert {name: [one.get(word) for word in words] for name, one in options.items()} == {
            name: [one.get(word) for word in words] for name, one in arguments.items()
        }
    with engine() as server:
        _status, result = run_module("security_probe", url=server.root, api_key=KEY, routes=ROUTES)
    assert set(yaml.safe_load(security_probe.RETURN)) == set(result) - {"changed", "invocation", "failed"}
    for example in yaml.safe_load(security_probe.EXAMPLES):
        assert set(example.get("llmops.serving.security_probe", {})) <= set(said)
