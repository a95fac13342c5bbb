# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stranger's look at a real HTTP server."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _security
from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint
from ansible_collections.llmops.serving.plugins.module_utils._security import accepted, look, probe, remedy, summary
from tests.unit.plugins.fake_engine import FakeEngine, Reply, Request, as_json

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "Sk-hunter2"
ROUTES: list[dict[str, Any]] = [
    {"path": "/v1/chat/completions", "method": "POST", "kind": "inference"},
    {"path": "/rerank", "method": "POST", "kind": "inference", "open": True},
    {"path": "/v1/models", "method": "GET", "kind": "info"},
    {"path": "/v1/responses/{id}", "method": "GET", "kind": "inference"},
    {"path": "/pause", "method": "POST", "kind": "admin"},
    {"path": "/version", "method": "GET", "kind": "info", "open": True},
    {"path": "/health", "method": "GET", "kind": "health", "open": True},
]


def guarded(reply: Reply, same: Callable[[str, str], bool] = str.__eq__) -> Callable[[Request], Reply]:
    """A route that wants the key, compared as `same` does."""

    def answer(request: Request) -> Reply:
        sent = request.headers.get("Authorization", "").partition(" ")[2]
        return reply if same(sent, KEY) else as_json({"error": "Unauthorized"}, 401)

    return answer


def engine(**routes: Any) -> FakeEngine:
    """A closed engine, but for what it leaves open, and for the routes that are given."""
    closed: dict[str, Any] = {
        "POST /v1/chat/completions": guarded(as_json({"error": "messages is missing"}, 400)),
        "POST /rerank": as_json({"error": "query is missing"}, 400),
        "GET /v1/models": guarded(as_json({"data": []})),
        "GET /v1/responses/x": guarded(as_json({}, 404)),
        "GET /version": as_json({"version": "1"}),
        "GET /health": Reply(b""),
    }
    return FakeEngine(closed | routes)


def test_a_closed_engine_has_no_findings() -> None:
    with engine() as server:
        assert probe(server.root, KEY, ROUTES, ["/rerank"]) == []


def test_an_open_route_must_be_accepted() -> None:
    with engine() as server:
        findings = probe(server.root, KEY, ROUTES)
    assert [finding.seen for finding in findings] == ["POST /rerank answers 400 with no key"]


OPEN: list[tuple[str, Any, list[str]]] = [
    ("POST /v1/chat/completions", as_json({}, 400), ["POST /v1/chat/completions answers 400 with no key"]),
    ("POST /v1/chat/completions", as_json({}, 501), ["POST /v1/chat/completions answers 501 with no key"]),
    ("GET /v1/models", as_json({"data": []}), ["GET /v1/models answers 200 with no key"]),
    ("GET /v1/models", Reply(status=307), ["GET /v1/models answers 307 with no key"]),
    # Asked by a method that it lacks, a route that is there and that nothing guards says so; nothing is paused.
    ("PATCH /pause", as_json({}, 405), ["POST /pause answers 405 with no key"]),
    ("PATCH /pause", as_json({}, 401), []),
    ("PATCH /pause", as_json({}, 403), []),
    # It has no such route, or not by this method.
    ("POST /v1/chat/completions", as_json({}, 404), []),
    ("POST /v1/chat/completions", as_json({}, 405), []),
    (
        "GET /v1/models",
        guarded(as_json({}), lambda sent, _key: bool(sent)),
        ["GET /v1/models answers 200 with a wrong key", "GET /v1/models answers 200 with the key in other capitals"],
    ),
    (
        "GET /v1/models",
        guarded(as_json({}), lambda sent, key: sent.lower() == key.lower()),
        ["GET /v1/models answers 200 with the key in other capitals"],
    ),
]


@pytest.mark.parametrize(("route", "reply", "words"), OPEN)
def test_what_answers_a_stranger_is_found(route: str, reply: Any, words: list[str]) -> None:
    with engine(**{route: reply}) as server:
        findings = probe(server.root, KEY, ROUTES, ["/rerank"])
        assert [request.path for request in server.requests if request.method == "POST"].count("/pause") == 0
    assert [finding.seen for finding in findings] == words


def test_a_route_that_lets_a_stranger_wait_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_security, "_TIMEOUT_S", 0.2)
    with engine(**{"GET /v1/models": Reply(delay=1.0)}) as server:
        (finding,) = probe(server.root, KEY, ROUTES, ["/rerank"])
    assert (finding.path, finding.status) == ("/v1/models", None)
    assert "no complete answer within 0.2 s" in finding.seen


def test_without_a_key_what_computes_and_what_changes_must_be_accepted() -> None:
    plain = {name: as_json({}) for name in ("POST /v1/chat/completions", "GET /v1/models", "GET /v1/responses/x")}
    with engine(**plain) as server:
        assert [finding.path for finding in probe(server.root, None, ROUTES, ["/rerank"])] == [
            "/v1/chat/completions",
            "/v1/responses/{id}",
        ]
        assert probe(server.root, None, ROUTES, ["/rerank", "/v1"]) == []


def test_a_server_that_is_not_there_is_one_finding() -> None:
    with FakeEngine() as server:
        root = server.root
    (finding,) = probe(root, KEY, ROUTES)
    assert (finding.kind, finding.status) == ("", None)
    assert "connection refused" in finding.seen
    assert remedy([finding], True).startswith("check the address and the port")


def test_a_server_that_closes_every_connection_is_one_finding() -> None:
    with engine(**{"POST /v1/chat/completions": Reply(reset="start")}) as server:
        (finding,) = probe(server.root, KEY, ROUTES)
    assert finding.kind == ""
    assert "connection closed before the answer was complete" in finding.seen


def test_another_engine_proves_nothing() -> None:
    with FakeEngine() as server:
        (finding,) = probe(server.root, KEY, ROUTES)
    assert finding.seen == "no route of the engine is there to refuse anybody"


def test_a_report_tells_of_every_route() -> None:
    with engine() as server:
        report = look(Endpoint(server.root, api_key=KEY), ROUTES, ["/rerank"])
    assert report.refused == ("POST /v1/chat/completions", "GET /v1/models", "GET /v1/responses/{id}")
    assert report.answering == ("POST /rerank", "GET /version", "GET /health")
    assert report.absent == ("POST /pause",)


def test_the_key_is_never_sent_and_in_no_words() -> None:
    with engine(**{"GET /v1/models": as_json({})}) as server:
        report = look(Endpoint(server.root, api_key=KEY), ROUTES)
        sent = {request.headers.get("Authorization") for request in server.requests}
    assert f"Bearer {KEY}" not in sent
    assert len(sent) == 3
    assert KEY.lower() not in str(report).lower()


def test_a_key_without_letters_has_no_other_capitals() -> None:
    with engine() as server:
        look(Endpoint(server.root, api_key="12345678"), ROUTES)
        assert len({request.headers.get("Authorization") for request in server.requests}) == 2


def test_wrong_keys_are_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda _length: "f00d")
    with engine() as server:
        probe(server.root, KEY, ROUTES)
        assert "Bearer wrong-f00d" in {request.headers.get("Authorization") for request in server.requests}


ACCEPTED = [
    ("/rerank", ["/rerank"], True),
    ("/api/v1/generate", ["/api"], True),
    ("/api/v1/generate", ["/api/"], True),
    ("/apis", ["/api"], False),
    ("/v1/rerank", ["/rerank"], False),
    ("/rerank", ["/"], False),
    ("/rerank", [], False),
]


@pytest.mark.parametrize(("path", "accept", "verdict"), ACCEPTED)
def test_accepted(path: str, accept: list[str], verdict: bool) -> None:
    assert accepted(path, accept) is verdict


REMEDIES: list[tuple[str, Any, str | None, str]] = [
    ("GET /v1/models", as_json({}), KEY, "set accept_open_routes to [/rerank, /v1/models]"),
    ("GET /v1/models", as_json({}), KEY, "check that options and environment"),
    ("GET /v1/models", guarded(as_json({}), lambda sent, _: bool(sent)), KEY, "this image does not check its key"),
    ("POST /v1/chat/completions", as_json({}), None, "set api_key of the server"),
]


@pytest.mark.parametrize(("route", "reply", "key", "words"), REMEDIES)
def test_what_to_do(route: str, reply: Any, key: str | None, words: str) -> None:
    with engine(**{route: reply}) as server:
        findings = probe(server.root, key, ROUTES)
    assert words in remedy(findings, key is not None)


def test_many_findings_are_told_in_short() -> None:
    with FakeEngine({f"GET /{number}": as_json({}) for number in range(6)}) as server:
        routes = [{"path": f"/{number}", "method": "GET", "kind": "inference"} for number in range(6)]
        words = summary(probe(server.root, KEY, routes))
    assert words.startswith("GET /0 answers 200 with no key, GET /1")
    assert words.endswith(", and 2 more")
