# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._plan import Site, server_plan, server_secrets

REVISION = "0123456789ab" + "c" * 28
MODELS: dict[str, dict[str, t.Any]] = {
    "gguf": {"repo": "a/b", "revision": REVISION, "file": "sub/x.gguf"},
    "gguf-embed": {"repo": "a/b", "revision": REVISION, "file": "e.gguf", "task": "embedding"},
    "minilm": {"repo": "a/c", "revision": REVISION},
    "rerank": {"repo": "a/d", "revision": REVISION, "task": "rerank"},
}


SITE = Site(models=MODELS, model_dir="/srv/models", registries={}, accelerator="cpu", engines=definitions())


def plan(server: dict[str, t.Any], **site: t.Any) -> dict[str, t.Any]:
    return server_plan({"name": "s", "port": 8001, **server}, dataclasses.replace(SITE, **site))


def engine_words(server: dict[str, t.Any], **site: t.Any) -> list[str]:
    run = plan(server, **site)["unit_words"]["run"]
    return list(run[run.index("@IMAGE@") + 1 :])


LLAMA: dict[str, t.Any] = {"engine": "llama_cpp", "model": "gguf"}
# Options of a server, and words that its command line then holds side by side.
LLAMA_WORDS: list[tuple[dict[str, t.Any], list[str]]] = [
    ({}, ["--model", "/models/gguf/x.gguf", "--alias", "gguf"]),
    ({}, ["--parallel", "1"]),
    ({"context_length": 4096}, ["--ctx-size", "4096"]),
    ({"context_length": 4096, "parallel": 4}, ["--ctx-size", "16384", "--parallel", "4"]),
    ({"cpu_threads": 2}, ["--threads", "2"]),
    ({"options": {"cache-type-k": "q8_0"}}, ["--cache-type-k", "q8_0"]),
    ({"options": {"jinja": True}}, ["--jinja"]),
    ({"options": {"jinja": False}}, ["--no-jinja"]),
    ({"options": {"chat-template-kwargs": {"b": 1, "a": "ü"}}}, ["--chat-template-kwargs", '{"a": "ü", "b": 1}']),
    ({"options": {"cache-ram": 64}}, ["--cache-ram", "64"]),
    ({"model": "gguf-embed"}, ["--embeddings"]),
]


def holds(words: list[str], part: list[str]) -> bool:
    return any(words[at : at + len(part)] == part for at in range(len(words)))


@pytest.mark.parametrize(("options", "part"), LLAMA_WORDS)
def test_maps_words_to_flags_of_llama_cpp(options: dict[str, t.Any], part: list[str]) -> None:
    words = engine_words(LLAMA | options)
    assert holds(words, part), words


def test_an_option_takes_the_place_of_a_default() -> None:
    words = engine_words(LLAMA | {"options": {"cache-ram": 64}})
    assert words.count("--cache-ram") == 1


def test_infinity_names_each_model_beside_its_path() -> None:
    words = engine_words({"engine": "infinity", "models": ["minilm", "rerank"]})
    assert words[: words.index("--port")] == [
        "v2",
        *["--model-id", "/models/minilm", "--served-model-name", "minilm"],
        *["--model-id", "/models/rerank", "--served-model-name", "rerank"],
    ]
    assert holds(words, ["--device", "cpu"])
    assert "--no-trust-remote-code" in words


def test_a_list_repeats_the_flag() -> None:
    words = engine_words({"engine": "infinity", "models": ["minilm", "rerank"], "options": {"batch-size": [8, 4]}})
    assert holds(words, ["--batch-size", "8", "--batch-size", "4"])


def test_models_are_mounted_read_only_from_their_revision() -> None:
    run = plan(LLAMA)["unit_words"]["run"]
    assert "type=bind,src=/srv/models/gguf/0123456789ab,dst=/models/gguf,readonly" in run


def test_every_container_is_closed() -> None:
    run = plan(LLAMA)["unit_words"]["run"]
    for part in (
        ["--read-only"],
        ["--cap-drop", "ALL"],
        ["--security-opt", "no-new-privileges"],
        ["--user", "65532:65532"],
        ["--pull", "never"],
        ["--publish", "127.0.0.1:8001:8080"],
    ):
        assert holds(run, part)


KEYS = [
    ({**LLAMA, "api_key": ["0pen", "other"]}, "api-key", "0pen\nother\n"),
    (
        {"engine": "infinity", "models": ["minilm"], "api_key": ["0p'en"]},
        "environment",
        "INFINITY_API_KEY='0p'\"'\"'en'\n",
    ),
]


@pytest.mark.parametrize(("server", "name", "text"), KEYS)
def test_a_key_goes_into_a_file_and_nowhere_else(server: dict[str, t.Any], name: str, text: str) -> None:
    planned = plan(server)
    found = server_secrets(server, SITE)
    assert found == {"files": {name: text}, "client_key": server["api_key"][0]}
    assert "0p" not in str(planned)
    assert not any("0p" in word for word in planned["unit_words"]["run"])
    assert "type=bind,src=@GENERATION@/secrets,dst=/run/secrets/llmops,readonly" in planned["unit_words"]["run"]


def test_without_a_key_nothing_secret_is_mounted() -> None:
    planned = plan(LLAMA)
    assert server_secrets(LLAMA, SITE) == {"files": {}, "client_key": None}
    assert not any("secrets" in word for word in planned["unit_words"]["run"])


def test_the_gate_asks_every_model_for_its_task() -> None:
    server = {"engine": "infinity", "models": ["minilm", "rerank"], "gate": {"rerank": {"semantic": False}}}
    assert plan(server)["gate"] == [
        {"task": "embedding", "model": "minilm"},
        {"task": "rerank", "model": "rerank", "semantic": False},
    ]


IMAGES: list[tuple[dict[str, t.Any], dict[str, t.Any], str]] = [
    ({}, {}, "ghcr.io/ggml-org/llama.cpp:server-b11243"),
    ({}, {"accelerator": "cuda"}, "ghcr.io/ggml-org/llama.cpp:server-cuda-b11243"),
    ({"image": "own.example/llama:7"}, {}, "own.example/llama:7"),
    ({}, {"registries": {"ghcr.io": "mirror:5000/g"}}, "mirror:5000/g/ggml-org/llama.cpp:server-b11243"),
]


@pytest.mark.parametrize(("options", "site", "image"), IMAGES)
def test_chooses_the_image(options: dict[str, t.Any], site: dict[str, t.Any], image: str) -> None:
    assert plan(LLAMA | options, **site)["image"] == image


def test_brackets_an_ipv6_address() -> None:
    assert "[::1]:8001:8080" in plan(LLAMA | {"bind": "::1"})["unit_words"]["run"]
