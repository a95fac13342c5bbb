# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._problems import inventory_problems, questions
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

REVISION = "c" * 40
MODELS: dict[str, t.Any] = {
    "gguf": {"repo": "a/b", "revision": REVISION, "file": "x.gguf"},
    "minilm": {"repo": "a/c", "revision": REVISION, "task": "embedding"},
    "vectors": {"repo": "a/c", "revision": REVISION, "task": "embedding"},
    "chat": {"repo": "a/e", "revision": REVISION},
    "other": {"repo": "a/b", "revision": REVISION, "file": "y.gguf"},
    "labels": {"repo": "a/c", "revision": REVISION, "task": "classify", "file": "x.gguf"},
}
GOOD: dict[str, t.Any] = {"name": "chat", "engine": "llama_cpp", "model": "gguf", "port": 8001}
EMBED: dict[str, t.Any] = {"name": "embed", "engine": "infinity", "models": ["minilm"], "port": 8005}


def site(**words: t.Any) -> Site:
    defaults: dict[str, t.Any] = {"models": MODELS, "model_dir": "", "registries": {}, "accelerator": "cpu"}
    return Site(engines=definitions(), **(defaults | words))


def test_a_good_inventory_has_no_problems() -> None:
    assert inventory_problems([GOOD, EMBED], site()) == []


# What one edit of a good server leads to: the variable, and the words that name cause and remedy.
EDITS: list[tuple[dict[str, t.Any], str]] = [
    (
        {"engine": "vlm"},
        "serving_servers['chat'].engine: 'vlm' is unknown: choose one of aphrodite, infinity, llama_cpp",
    ),
    ({"engine": None}, "serving_servers['chat']: missing required arguments: engine"),
    (
        {"context_lenght": 1},
        "serving_servers['chat']: context_lenght: is no word of a server: did you mean context_len",
    ),
    ({"port": "abc"}, "serving_servers['chat']: port: argument 'port' is of type str"),
    ({"port": 0}, "serving_servers['chat'].port: 0 is no TCP port"),
    ({"port": 65536}, "serving_servers['chat'].port: 65536 is no TCP port"),
    (
        {"name": "watchdog"},
        "serving_servers['watchdog'].name: llmops-watchdog.service is a unit of the collection itself",
    ),
    ({"name": "Chat 1"}, "serving_servers['Chat 1'].name: 'Chat 1': use up to 41 small letters"),
    ({"model": "nope"}, "serving_servers['chat'].model: 'nope' is not in serving_models, which has chat, gguf"),
    ({"model": None}, "serving_servers['chat'].model: is missing"),
    ({"models": ["other"]}, "serving_servers['chat'].models: llama.cpp serves 1 model a server, not 2"),
    ({"model": "minilm"}, "llama.cpp cannot load 'minilm', it wants one GGUF file: set file"),
    ({"model": "labels"}, "llama.cpp cannot do classify, the task of 'labels'"),
    ({"engine": "infinity"}, "infinity cannot load 'gguf', it wants a repository: remove file"),
    (
        {"gpu_memory_fraction": 0.5},
        "serving_servers['chat'].gpu_memory_fraction: llama.cpp has no such option: it fits itself into what is free",
    ),
    (
        {"options": {"cache-type": "q8"}},
        ".options.cache-type: llama.cpp has no flag --cache-type: did you mean cache-ty",
    ),
    ({"options": {"--jinja": True}}, "write the flag without its leading dashes: jinja"),
    ({"options": {"port": 1}}, "serving_servers['chat'].options.port: this flag belongs to the collection: use port"),
    ({"options": {"jinja": None}}, "serving_servers['chat'].options.jinja: has no value"),
    ({"options": {"verbose": False}}, "there is no flag that switches --verbose off: leave the option out"),
    ({"api_key": [""]}, "serving_servers['chat'].api_key: a key is empty"),
    ({"api_key": []}, "serving_servers['chat'].api_key: a key is empty"),
    ({"api_key": ["two words"]}, "serving_servers['chat'].api_key: a key holds a comma, a blank or a line break"),
    ({"bind": "0.0.0.0"}, "serving_servers['chat'].bind: 0.0.0.0 is public and api_key is not set"),  # noqa: S104  refused
    ({"bind": "lan"}, "serving_servers['chat'].bind: 'lan' is no IP address"),
    ({"image": "ghcr.io/a/b:latest"}, "serving_servers['chat'].image: 'ghcr.io/a/b:latest' names no fixed version"),
    (
        {"gate": {"chat": {"expects": "Paris"}}},
        "['chat'].gate.chat: the chat probe has no option 'expects'",
    ),
    ({"gate": {"chat": "Paris"}}, "serving_servers['chat'].gate.chat: must be a dict of the options of chat_probe"),
    ({"gate": {"rerank": {}}}, "serving_servers['chat'].gate.rerank: no model of the server is for rerank"),
]


@pytest.mark.parametrize(("edit", "words"), EDITS)
def test_names_variable_cause_and_remedy(edit: dict[str, t.Any], words: str) -> None:
    server = {word: value for word, value in (GOOD | edit).items() if word != "engine" or value is not None}
    problems = inventory_problems([server], site())
    assert len(problems) == 1, problems
    assert words in problems[0]


CHAT: dict[str, t.Any] = {"name": "s", "model": "chat", "port": 8001}
# Engine, accelerator, one edit of a good server, and words of the one line that must be said.
REFUSED: list[tuple[str, str, dict[str, t.Any], str]] = [
    # an option that the engine lacks
    (
        "sglang",
        "cuda",
        {"gpu_memory_fraction": 0.5},
        "gpu_memory_fraction: SGLang has no such option: its --mem-fraction",
    ),
    (
        "sglang",
        "cpu",
        {"kv_cache_gib": 1},
        "kv_cache_gib: SGLang has no such option: its KV cache is counted in tokens",
    ),
    ("vllm", "cpu", {"gpu_memory_fraction": 0.5}, "gpu_memory_fraction: vLLM has no such option: on a CPU it would be"),
    ("tgi", "cuda", {"chat_template": "x.jinja"}, "chat_template: TGI has no such option"),
    ("vllm", "cpu", {"gpus": ["0"]}, "gpus: serving_accelerator is cpu, so there are none: remove it"),
    (
        "vllm",
        "cuda",
        {"gpus": ["0"], "tensor_parallel_size": 2},
        "tensor_parallel_size: 2 is more than the 1 entries of gpus",
    ),
    # a flag that it does not have
    (
        "vllm",
        "cuda",
        {"options": {"max-model-length": 1}},
        "vLLM has no flag --max-model-length: did you mean max-model-len",
    ),
    (
        "vllm",
        "cuda",
        {"options": {"gpu-memory-util": 1}},
        "vLLM has no flag --gpu-memory-util: did you mean gpu-memory-utilization",
    ),
    ("sglang", "cuda", {"options": {"mem-frac": 1}}, "SGLang has no flag --mem-frac: did you mean mem-fraction-static"),
    (
        "vllm",
        "cuda",
        {"unchecked_options": {"api-key": "x"}},
        "unchecked_options.api-key: vLLM is known to have this flag",
    ),
    # a value that the flag does not take
    (
        "llama_cpp",
        "cpu",
        {"model": "gguf", "options": {"flash-attn": True}},
        "options.flash-attn: --flash-attn takes a value: on, off, auto",
    ),
    ("vllm", "cuda", {"options": {"runner": "x"}}, "options.runner: this flag belongs to the collection"),
    ("vllm", "cuda", {"dtype": "int4"}, "dtype: --dtype does not take 'int4': choose auto, bfloat16"),
    ("sglang", "cuda", {"tools": "nope"}, "tools: SGLang does not take 'nope': choose"),
    (
        "vllm",
        "cuda",
        {"options": {"enforce-eager": "yes"}},
        "options.enforce-eager: --enforce-eager takes no value: write true",
    ),
    (
        "vllm",
        "cuda",
        {"options": {"max-num-batched-tokens": [1, 2]}},
        "--max-num-batched-tokens takes one value, not a list",
    ),
    ("vllm", "cuda", {"tools": True}, "tools: true is no name: write one, or leave the word out"),
    ("vllm", "cuda", {"parallel": 0}, "parallel: 0 is too little"),
    # a format that it cannot load, a task that it cannot do
    (
        "vllm",
        "cuda",
        {"model": "gguf"},
        "remove file of serving_models['gguf'] (engines that serve it as it is: llama_cpp)",
    ),
    ("llama_cpp", "cpu", {"model": "chat"}, "llama.cpp cannot load 'chat', it wants one GGUF file"),
    (
        "tgi",
        "cuda",
        {"model": "minilm"},
        "the task of 'minilm' (it does chat): change engine (engines that serve it as it is: aphrodite, inf",
    ),
    # a quantisation that the image dropped
    (
        "vllm",
        "cuda",
        {"quantization": "gguf"},
        "vLLM no longer carries gguf: serve such a model with llama.cpp (engine: llama_cpp)",
    ),
    ("vllm", "cuda", {"quantization": "bitsandbytes"}, "serve such a model with SGLang (engine: sglang)"),
    ("sglang", "cuda", {"quantization": "torchao"}, "quantization: --quantization does not take 'torchao'"),
    # a chat template that does not exist
    (
        "vllm",
        "cuda",
        {"chat_template": "none.jinja"},
        "chat_template: 'none.jinja' is no file on this machine (looked in",
    ),
    # a value that the entrypoint would split
    (
        "tgi",
        "cuda",
        {"options": {"cors-allow-origin": "a\nb"}},
        "options.cors-allow-origin: holds a line break, and the entrypoint of TGI splits",
    ),
    ("tgi", "cuda", {"unchecked_options": {"x": "a b"}}, "unchecked_options.x: the entrypoint of TGI splits 'a b'"),
    # images
    ("vllm", "cuda", {"image": "vllm/vllm-openai"}, "image: 'vllm/vllm-openai' names no fixed version"),
    ("vllm", "cuda", {"image": "vllm/vllm-openai:latest"}, "names no fixed version"),
    ("vllm", "cuda", {"variant": "cuda11"}, "variant: vLLM has none called 'cuda11': choose one of cpu, cuda, cuda12"),
    ("vllm", "cpu", {"variant": "cuda12"}, "variant: cuda12 computes on cuda, and serving_accelerator is cpu"),
    (
        "aphrodite",
        "cuda",
        {},
        "image: Aphrodite has no image for cuda (it has: none): build one as roles/aphrodite/README.md",
    ),
    ("tgi", "cpu", {}, "image: TGI has no image for cpu (it has: cuda)"),
    # keys
    ("tgi", "cuda", {"api_key": ["k"]}, "api_key: TGI writes its key into its log"),
    (
        "sglang",
        "cuda",
        {"api_key": ["k"], "options": {"log-level": "info"}},
        "options.log-level: with api_key it stays warning: SGLang writes",
    ),
    (
        "vllm",
        "cuda",
        {"environment": {"VLLM_API_KEY": "k"}},
        "environment.VLLM_API_KEY: would show the key in the unit: use api_key",
    ),
    (
        "tei",
        "cpu",
        {"model": "minilm", "api_key": ["k"], "environment": {"LOG_LEVEL": "info"}},
        "environment.LOG_LEVEL: TEI would write its key",
    ),
    ("vllm", "cuda", {"bind": "0.0.0.0", "api_key": ["k"]}, "bind: 0.0.0.0 is public, and vLLM answers /invocations"),  # noqa: S104  refused
    ("llama_cpp", "cpu", {"model": "gguf", "api_key": ["#k"]}, "api_key: a key begins with # or -"),
    ("sglang", "cpu", {"api_key": ["-k"]}, "api_key: a key begins with # or -"),
    # lists that a shell would split
    ("tgi", "cuda", {"options": {"cors-allow-origin": ["a b"]}}, "the entrypoint of TGI splits"),
    # names
    ("vllm", "cuda", {"served_model_name": "-x"}, "served_model_name: '-x' begins with a dash"),
    ("vllm", "cuda", {"served_model_name": "a\nb"}, "or holds a line break"),
    ("tgi", "cuda", {"served_model_name": "../x"}, "served_model_name: TGI names a model by its folder"),
    ("tgi", "cuda", {"served_model_name": "a,b"}, "served_model_name: TGI names a model by its folder"),
    (
        "tei",
        "cpu",
        {"model": "minilm", "served_model_name": "/x"},
        "served_model_name: TEI names a model by its folder",
    ),
    ("vllm", "cuda", {"environment": {"X": "@IMAGE@"}}, "@IMAGE@ stands for something else in the unit"),
    (
        "llama_cpp",
        "cpu",
        {"model": "gguf", "served_model_name": "a,b"},
        "served_model_name: llama.cpp does not take ',' in a name",
    ),
    (
        "infinity",
        "cpu",
        {"model": "minilm", "models": ["vectors"], "served_model_name": "x"},
        "served_model_name: stands for one model, and the server has 2",
    ),
]


@pytest.mark.parametrize(("engine", "accelerator", "edit", "words"), REFUSED)
def test_each_engine_refuses_what_it_cannot_do(
    engine: str, accelerator: str, edit: dict[str, t.Any], words: str
) -> None:
    problems = inventory_problems([{"engine": engine, **CHAT, **edit}], site(accelerator=accelerator))
    assert len(problems) == 1, problems
    assert words in problems[0]


def test_what_a_definition_passes_may_be_taken_away() -> None:
    assert inventory_problems([{"engine": "sglang", **CHAT, "options": {"sleep-on-idle": False}}], site()) == []


def test_an_image_for_an_engine_stands_for_its_servers() -> None:
    server = {"engine": "aphrodite", **CHAT}
    images = {"aphrodite": "own.example/aphrodite:1"}
    assert inventory_problems([server], site(images=images)) == []
    assert questions([server], site(images=images))["servers"][0]["image"] == "own.example/aphrodite:1"


IMAGES = [
    ({"aphrodit": "a/b:1"}, "serving_images['aphrodit']: there is no such engine: choose one of aphrodite"),
    ({"aphrodite": 5}, "serving_images['aphrodite']: 5 is no image: write its name"),
    ({"aphrodite": "a/b:latest"}, "serving_images['aphrodite']: 'a/b:latest' names no fixed version"),
]


@pytest.mark.parametrize(("images", "words"), IMAGES)
def test_an_image_for_an_engine_is_checked_once(images: dict[str, str], words: str) -> None:
    servers = [{"engine": "vllm", **CHAT}, {"engine": "vllm", **CHAT, "name": "t", "port": 2}]
    problems = [line for line in inventory_problems(servers, site(images=images)) if "serving_images" in line]
    assert len(problems) == 1
    assert words in problems[0]


def test_images_must_be_a_dict() -> None:
    problems = inventory_problems([GOOD], site(images="a/b:1"))
    assert problems == ["serving_images: must be a dict of image names by engine"]


def test_asks_for_the_files_that_an_engine_loads() -> None:
    servers = [{"engine": "vllm", **CHAT}, EMBED | {"options": {"engine": "optimum"}}, GOOD | {"port": 9}]
    needs = questions(servers, site())["needs"]
    assert [(need["model"], need["files"]) for need in needs] == [("chat", r"\.safetensors$"), ("minilm", r"\.onnx$")]
    assert "infinity needs ONNX files, and serving_models['minilm'] has none: remove engine" in needs[1]["problem"]


def test_says_what_the_user_of_tgi_should_know() -> None:
    notices = questions([{"engine": "tgi", **CHAT}], site(accelerator="cuda"))["notices"]
    assert len(notices) == 1
    assert "serving_servers['s'].engine: TGI has been in maintenance mode" in notices[0]


def test_tells_everything_at_once() -> None:
    bad = [GOOD | {"engine": "x"}, EMBED | {"api_key": [""]}, "not a server"]
    assert len(inventory_problems(bad, site(registries={"ghcr.io": "https://mirror"}))) == 4


def test_finds_servers_that_clash() -> None:
    problems = inventory_problems([GOOD, GOOD], site())
    assert "serving_servers: 2 servers have the name 'chat': give each its own name" in problems
    assert "serving_servers: port 8001 is used by 'chat' and 'chat': give each its own port" in problems


def test_one_key_is_all_that_infinity_takes() -> None:
    problems = inventory_problems([EMBED | {"api_key": ["a", "b"]}], site())
    assert problems == ["serving_servers['embed'].api_key: infinity takes 1 key only: leave one"]


@pytest.mark.parametrize("servers", [None, {}, "chat"])
def test_servers_must_be_a_list(servers: t.Any) -> None:
    assert "must be a list" in inventory_problems(servers, site())[0]


def test_models_must_be_a_dict() -> None:
    assert inventory_problems([GOOD], site(models=[])) == ["serving_models: must be a dict of models by name"]


def test_a_model_without_a_revision_is_told_once_and_does_not_hide_the_rest() -> None:
    problems = inventory_problems([GOOD, EMBED | {"port": 0}], site(models=MODELS | {"gguf": {"repo": "a/b"}}))
    assert any("serving_models['gguf'].revision" in problem for problem in problems)
    assert any("port: 0" in problem for problem in problems)


SECRET = "hunter2-is-secret"  # noqa: S105  made up


@pytest.mark.parametrize("value", [{"a": SECRET}, [SECRET + " x"], {"name": 1, SECRET: 2}])
def test_no_problem_shows_a_key(value: t.Any) -> None:
    assert not any(SECRET in problem for problem in inventory_problems([GOOD | {"api_key": value}], site()))


def test_asks_the_host_about_the_sound_part() -> None:
    models = MODELS | {"broken": {"repo": "a/b"}}
    asked = questions([GOOD, EMBED | {"port": "x"}], site(models=models))
    image = "ghcr.io/ggml-org/llama.cpp:server-b11243"
    (server,) = asked["servers"]
    place = {"name": "chat", "bind": "127.0.0.1", "port": 8001, "image": image, "alternatives": []}
    assert {word: server[word] for word in place} == place
    assert (server["demand"]["server"], server["demand"]["models"]) == ("chat", ["gguf"])
    assert asked["models"] == MODELS


def test_asks_nothing_about_nonsense() -> None:
    assert questions("nonsense", site(models="nonsense")) == {
        "servers": [],
        "models": {},
        "needs": [],
        "notices": [],
    }
