# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._plan import server_plan, server_secrets
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

if t.TYPE_CHECKING:
    from pathlib import Path

REVISION = "0123456789ab" + "c" * 28
MODELS: dict[str, dict[str, t.Any]] = {
    "gguf": {"repo": "a/b", "revision": REVISION, "file": "sub/x.gguf"},
    "gguf-embed": {"repo": "a/b", "revision": REVISION, "file": "e.gguf", "task": "embedding"},
    "minilm": {"repo": "a/c", "revision": REVISION, "task": "embedding"},
    "chat": {"repo": "a/e", "revision": REVISION},
    "rerank": {"repo": "a/d", "revision": REVISION, "task": "rerank"},
}


SITE = Site(
    models=MODELS,
    model_dir="/srv/models",
    registries={},
    accelerator="cpu",
    engines=definitions(),
    images={"aphrodite": "own.example/aphrodite:1"},
)


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
    ({"model": "gguf-embed"}, ["--embedding"]),
]


def test_false_takes_away_a_flag_that_the_definition_gives_a_value() -> None:
    gpu = {"accelerator": "cuda"}
    assert holds(engine_words(LLAMA, **gpu), ["--gpu-layers", "all"])
    assert "--gpu-layers" not in engine_words({**LLAMA, "options": {"n-gpu-layers": False}}, **gpu)
    assert holds(engine_words({**LLAMA, "options": {"n-gpu-layers": 0}}, **gpu), ["--gpu-layers", "0"])


def holds(words: list[str], part: list[str]) -> bool:
    return any(words[at : at + len(part)] == part for at in range(len(words)))


@pytest.mark.parametrize(("options", "part"), LLAMA_WORDS)
def test_maps_words_to_flags_of_llama_cpp(options: dict[str, t.Any], part: list[str]) -> None:
    words = engine_words(LLAMA | options)
    assert holds(words, part), words


CHAT: dict[str, t.Any] = {"model": "chat"}
# Engine, accelerator, words of a server, and words that its command line then holds side by side.
WORDS: list[tuple[str, str, dict[str, t.Any], list[str]]] = [
    ("vllm", "cpu", {}, ["/models/chat", "--served-model-name", "chat"]),
    ("vllm", "cpu", {}, ["--kv-cache-memory-bytes", "2147483648"]),
    ("vllm", "cpu", {}, ["--enforce-eager"]),
    ("vllm", "cpu", {"options": {"enforce-eager": False}}, ["--no-enforce-eager"]),
    ("vllm", "cpu", {"kv_cache_gib": 0.5}, ["--kv-cache-memory-bytes", "536870912"]),
    ("vllm", "cuda", {"context_length": 8192}, ["--max-model-len", "8192"]),
    ("vllm", "cuda", {"gpu_memory_fraction": 0.5}, ["--gpu-memory-utilization", "0.5"]),
    ("vllm", "cuda", {"tools": "hermes"}, ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]),
    ("vllm", "cuda", {"quantization": "awq"}, ["--quantization", "awq"]),
    (
        "vllm",
        "cuda",
        {"model": "minilm", "served_model_name": "e"},
        ["--served-model-name", "e", "--runner", "pooling"],
    ),
    ("vllm", "cuda", {"unchecked_options": {"brand-new": [1, True]}}, ["--brand-new", "1", "--brand-new"]),
    ("aphrodite", "cuda", {"parallel": 4}, ["--max-num-seqs", "4"]),
    ("sglang", "cpu", {}, ["--model-path", "/models/chat", "--served-model-name", "chat"]),
    ("sglang", "cpu", {}, ["--attention-backend", "torch_native"]),
    ("sglang", "cpu", {"options": {"attention-backend": "intel_amx"}}, ["--attention-backend", "intel_amx"]),
    (
        "sglang",
        "cpu",
        {"context_length": 512, "parallel": 2},
        ["--context-length", "512", "--max-total-tokens", "1024"],
    ),
    ("sglang", "cuda", {"tools": "llama3_json"}, ["--tool-call-parser", "llama3"]),
    ("sglang", "cuda", {"tools": "hermes"}, ["--tool-call-parser", "hermes"]),
    ("sglang", "cuda", {"options": {"json-model-override-args": "-x"}}, ["--json-model-override-args=-x"]),
    ("sglang", "cuda", {"tensor_parallel_size": 2}, ["--tp-size", "2"]),
    ("tgi", "cuda", {}, ["--model-id", "chat"]),
    ("tgi", "cuda", {"served_model_name": "org/name"}, ["--model-id", "org/name"]),
    ("tgi", "cuda", {"context_length": 4096, "parallel": 8}, ["--max-total-tokens", "4096", "--max-batch-size", "8"]),
    ("tgi", "cuda", {}, ["--num-shard", "1"]),
    ("tgi", "cuda", {"dtype": "half"}, ["--dtype", "float16"]),
    ("tei", "cpu", {"model": "minilm"}, ["--model-id", "minilm", "--served-model-name", "minilm"]),
]


@pytest.mark.parametrize(("engine", "accelerator", "words", "part"), WORDS)
def test_maps_words_to_flags(engine: str, accelerator: str, words: dict[str, t.Any], part: list[str]) -> None:
    built = engine_words({"engine": engine, **CHAT, **words}, accelerator=accelerator)
    assert holds(built, part), built


# Engine, accelerator, words of a server, and a word that `docker run` then gets.
DOCKER: list[tuple[str, str, dict[str, t.Any], str]] = [
    ("vllm", "cpu", {"cpu_threads": 2}, "OMP_NUM_THREADS=2"),
    ("vllm", "cpu", {}, "VLLM_CACHE_ROOT=/cache/vllm"),
    ("vllm", "cpu", {}, "type=bind,src=/var/lib/llmops/servers/s/cache,dst=/cache"),
    ("vllm", "cpu", {}, "2000:0"),
    ("vllm", "cuda", {}, "nvidia.com/gpu=all"),
    ("vllm", "cuda", {"gpus": ["1", "GPU-x"]}, "nvidia.com/gpu=GPU-x"),
    ("sglang", "cpu", {}, "docker.io/lmsysorg/sglang:v0.5.23-xeon"),
    # What the entrypoint would split goes by environment.
    ("tgi", "cuda", {"options": {"cors-allow-origin": "a b"}}, "CORS_ALLOW_ORIGIN=a b"),
    ("tgi", "cuda", {}, "type=bind,src=/srv/models/chat/0123456789ab,dst=/models/chat,readonly"),
    ("tei", "cuda", {"model": "minilm"}, "/entrypoint.sh"),
    ("tei", "cpu", {"model": "minilm", "api_key": ["k"]}, "LOG_LEVEL=warn"),
]


@pytest.mark.parametrize(("engine", "accelerator", "words", "part"), DOCKER)
def test_maps_words_to_the_container(engine: str, accelerator: str, words: dict[str, t.Any], part: str) -> None:
    planned = plan({"engine": engine, **CHAT, **words}, accelerator=accelerator)
    assert part in [*planned["unit_words"]["run"], planned["image"]]


def test_an_option_by_another_spelling_takes_the_place_of_a_default() -> None:
    words = engine_words(LLAMA | {"options": {"webui": True}})
    assert "--ui" in words
    assert "--no-ui" not in words


def test_false_takes_away_what_a_definition_passes() -> None:
    server = {"engine": "sglang", "model": "chat", "options": {"sleep-on-idle": False}}
    assert "--sleep-on-idle" in engine_words(server | {"options": {}})
    assert "--sleep-on-idle" not in engine_words(server)


def test_a_chat_template_goes_along_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text("{{ messages }}", encoding="utf-8")
    for engine, flag in (
        ("vllm", "--chat-template"),
        ("sglang", "--chat-template"),
        ("llama_cpp", "--chat-template-file"),
    ):
        server = {"engine": engine, "model": "gguf" if engine == "llama_cpp" else "chat", "chat_template": "own.jinja"}
        planned = plan(server, search=[str(tmp_path)])
        assert planned["files"] == {"chat-template.jinja": "{{ messages }}"}
        assert holds(planned["unit_words"]["run"], [flag, "/run/llmops/chat-template.jinja"])
        assert "type=bind,src=@GENERATION@/files,dst=/run/llmops,readonly" in planned["unit_words"]["run"]


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
    ({"engine": "vllm", "model": "chat", "api_key": ["0pen", "b"]}, "vllm.yaml", '{"api-key": ["0pen", "b"]}\n'),
    ({"engine": "sglang", "model": "chat", "api_key": ['0p"en']}, "sglang.yaml", '{"api-key": "0p\\"en"}\n'),
    ({"engine": "tei", "model": "minilm", "api_key": ["0pen"]}, "environment", "API_KEY=0pen\n"),
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


def test_the_watchdog_looks_at_every_server_that_says_nothing_else() -> None:
    words = plan(LLAMA)["watchdog"]
    assert (words["metrics"], words["port"]) == ("/metrics", 8080)
    assert words["running"] == ["llamacpp:requests_processing"]
    assert plan(LLAMA | {"watchdog": True})["watchdog"] == words
    assert plan(LLAMA | {"watchdog": False})["watchdog"] == {}


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
