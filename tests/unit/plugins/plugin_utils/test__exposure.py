# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._security import KINDS
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._exposure import (
    exposure_problems,
    firewall,
    is_exposed,
    open_routes,
    routes_of,
)

ENGINES = definitions()
PUBLIC: dict[str, Any] = {"name": "chat", "port": 8001, "bind": "0.0.0.0"}  # noqa: S104  written, not bound
KEYED = PUBLIC | {"api_key": ["sk-1"]}
VLLM_OPEN = ["/invocations", "/pooling", "/classify", "/score", "/rerank", "/generative_scoring", "/tokenize",
             "/detokenize", "/scale_elastic_ep"]  # fmt: skip


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_the_routes_of_an_engine_are_well_formed(engine: str) -> None:
    definition = ENGINES[engine]
    routes = routes_of(definition)
    assert {key for group in definition["routes"] for key in group} <= {"kind", "open", "only_with", "post", "get"}
    assert {route["kind"] for route in routes} <= set(KINDS)
    assert all(route["path"].startswith("/") for route in routes)
    names = [(route["method"], route["path"]) for route in routes]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_what_a_definition_names_is_among_its_routes(engine: str) -> None:
    definition = ENGINES[engine]
    by_path = {route["path"]: route for route in routes_of(definition) if route["method"] == "GET"}
    refused = "refused" in definition["secrets"]["api_key"]
    assert by_path[definition["readiness"]]["open"]
    assert by_path[definition["readiness"]]["kind"] == "health"
    assert by_path[definition["metrics"]]["kind"] == "metrics"
    assert by_path[definition["guarded"]]["open"] is refused


@pytest.mark.parametrize(
    ("engine", "keyed", "accept", "left"),
    [
        ("vllm", True, [], VLLM_OPEN),
        ("vllm", True, ["/tokenize", "/detokenize", "/score"],
         [path for path in VLLM_OPEN if path not in ("/tokenize", "/detokenize", "/score")]),
        ("vllm", True, VLLM_OPEN, []),
        ("aphrodite", True, [*VLLM_OPEN, "/api"], []),
        ("llama_cpp", True, [], []),
        ("sglang", True, [], []),
        ("infinity", True, [], []),
        ("tei", True, [], []),
        ("infinity", False, [], ["/v1/embeddings", "/v1/rerank", "/v1/classify", "/v1/embeddings_image",
                                 "/v1/embeddings_audio"]),
        ("infinity", False, ["/v1"], []),
        ("tgi", False, ["/v1", "/generate", "/generate_stream", "/tokenize", "/chat_tokenize", "/invocations"],
         ["/", "/vertex"]),
    ],
)  # fmt: skip
def test_what_is_open(engine: str, keyed: bool, accept: list[str], left: list[str]) -> None:
    assert open_routes(ENGINES[engine], keyed, accept) == left


def test_without_a_key_what_changes_the_server_is_open_too() -> None:
    assert "/flush_cache" in open_routes(ENGINES["sglang"], False, [])
    # Not what exists only where somebody opened it: the probe of the running server finds that.
    assert "/sleep" not in open_routes(ENGINES["vllm"], False, [])


PROBLEMS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("llama_cpp", KEYED, []),
    ("llama_cpp", PUBLIC, ["bind: 0.0.0.0 is public and api_key is not set: set api_key, or bind 127.0.0.1"]),
    ("llama_cpp", PUBLIC | {"bind": "127.0.0.1"}, []),
    ("vllm", KEYED, ["bind: 0.0.0.0 is public, and vLLM answers /invocations, /pooling, "]),
    ("vllm", KEYED | {"accept_open_routes": ["/rerank"]}, ["/score, /generative_scoring, /tokenize"]),
    ("vllm", KEYED | {"accept_open_routes": VLLM_OPEN}, []),
    ("infinity", PUBLIC | {"accept_open_routes": ["/v1"]}, []),
    ("infinity", PUBLIC | {"accept_open_routes": ["/v1/rerank"]}, ["/v1/embeddings_audio without a key: bind 127.0"]),
    ("tgi", PUBLIC, ["bind: 0.0.0.0 is public and api_key is not set"]),
    # That it takes no key is told, and nothing else.
    ("tgi", KEYED, []),
    ("vllm", KEYED | {"accept_open_routes": ["rerank"]}, ["accept_open_routes: 'rerank' is no path of a route"]),
    ("vllm", KEYED | {"accept_open_routes": ["/"]}, ["accept_open_routes: '/' is no path of a route"]),
    (
        "vllm",
        {"name": "chat", "port": 1, "accept_open_routes": ["/rerank"]},
        ["accept_open_routes: bind is 127.0.0.1, where no other host is answered: remove it"],
    ),
    ("llama_cpp", KEYED | {"allowed_networks": ["10.0.0.0/8", "192.0.2.7"]}, []),
    ("llama_cpp", KEYED | {"allowed_networks": []}, ["allowed_networks: is empty"]),
    (
        "llama_cpp",
        KEYED | {"allowed_networks": ["10.0.0.5/8"]},
        ["'10.0.0.5/8' is no IPv4 network (10.0.0.5/8 has host"],
    ),
    ("llama_cpp", KEYED | {"allowed_networks": ["fd00::/8"]}, ["allowed_networks: 'fd00::/8' is no IPv4 network"]),
    ("llama_cpp", KEYED | {"bind": "::", "allowed_networks": ["10.0.0.0/8"]}, ["past its firewall: bind an IPv4"]),
    (
        "llama_cpp",
        {"name": "chat", "port": 8001, "allowed_networks": ["10.0.0.0/8"]},
        ["allowed_networks: bind is 127.0.0.1, which no network reaches"],
    ),
    # Told as no address; nothing follows from it.
    ("llama_cpp", PUBLIC | {"bind": "localhost", "allowed_networks": ["10.0.0.0/8"]}, []),
]


@pytest.mark.parametrize(("engine", "server", "words"), PROBLEMS)
def test_problems(engine: str, server: dict[str, Any], words: list[str]) -> None:
    found = list(exposure_problems(server, ENGINES[engine]))
    assert len(found) == len(words), found
    assert all(part in line for part, line in zip(words, found, strict=True)), found


@pytest.mark.parametrize(
    ("bind", "verdict"),
    [(None, False), ("127.0.0.1", False), ("127.0.0.2", False), ("::1", False), ("0.0.0.0", True), ("10.0.0.5", True),  # noqa: S104
     ("::", True), ("localhost", None)],
)  # fmt: skip
def test_who_reaches_it(bind: str | None, verdict: bool | None) -> None:
    assert is_exposed({"bind": bind}) is verdict


RUN = "/usr/sbin/iptables --wait"
AWAY = (
    f"-/bin/sh -c exec 2>/dev/null; {RUN} --delete DOCKER-USER --jump LLMOPS-chat; {RUN} --flush LLMOPS-chat; "
    f"{RUN} --delete-chain LLMOPS-chat"
)


def lines(words: list[list[str]]) -> list[str]:
    return [" ".join(line) for line in words]


def test_no_networks_no_rules_but_those_of_another_unit_go() -> None:
    words = firewall(KEYED)
    assert (words["before"], lines(words["after"])) == ([], [AWAY])


def test_rules_let_networks_through_and_nobody_else() -> None:
    words = firewall(KEYED | {"bind": "10.0.0.5", "allowed_networks": ["10.1.0.0/16", "192.0.2.7"]})
    match = "--protocol tcp --match conntrack --ctstate DNAT --ctdir ORIGINAL --ctorigdstport 8001 --ctorigdst 10.0.0.5"
    jump = "DOCKER-USER --jump LLMOPS-chat"
    assert lines(words["before"]) == [
        f"/bin/sh -c {RUN} --new-chain LLMOPS-chat 2>/dev/null || exec {RUN} --flush LLMOPS-chat",
        f"{RUN} --append LLMOPS-chat {match} --source 10.1.0.0/16 --jump RETURN",
        f"{RUN} --append LLMOPS-chat {match} --source 192.0.2.7 --jump RETURN",
        f"{RUN} --append LLMOPS-chat {match} --jump DROP",
        f"/bin/sh -c {RUN} --check {jump} 2>/dev/null || exec {RUN} --insert {jump}",
    ]
    assert lines(words["after"]) == [AWAY]


def test_every_address_of_the_host_is_guarded() -> None:
    words = firewall(KEYED | {"allowed_networks": ["10.1.0.0/16"]})
    assert not any("--ctorigdst" in line for line in words["before"])
