# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers to try on the engines' own parsers, and what each engine must understand by them.

What is meant is written down here by hand, in the engine's own names, so that a definition that maps a word to the
wrong flag, or to the right one in the wrong unit, does not agree with itself.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.llmops.serving.plugins.plugin_utils._checks import server_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import Definition, definitions, of_variant
from ansible_collections.llmops.serving.plugins.plugin_utils._plan import FILES, SECRETS, server_plan, server_secrets
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TEMPLATES = Path(__file__).parent / "templates"
#: With a blank, which the engine must never see.
TEMPLATE = "a template.jinja"
TEMPLATE_INSIDE = "/run/llmops/chat-template.jinja"
REVISION = "0123456789ab" + "c" * 28
ENGINES = definitions()
GIB = 1 << 30
EVERYWHERE = "0.0.0.0"  # noqa: S104  in the container

#: What a shell, systemd, Docker or a parser may do something to.
AWKWARD: dict[str, str] = {
    "blanks": " a  b ",
    "single quotes": "it's 'it'",
    "double quotes": 'say "x"',
    "percent": "100%h %% %i",
    "dollar": "$HOME ${HOME} $$ $(id)",
    "backslashes": "C:\\new\\\\table\\",
    "json": '{"a": {"b": [1, "c d", null]}}',
    "line breaks": "one\ntwo\n\nthree\n",
    "tabs and returns": "a\tb\r\nc",
    "non-ASCII": "Zürich 東京 🚀 e\u0301 \u2028 \u00a0",
    "dash": "-x",
    "dash with blanks": "-x --y",
    "two dashes": "--port",
    "two dashes alone": "--",
    "dash and equals sign": "--port=1",
    "negative number": "-1.5e3",
    "equals sign": "a=b=c",
    "globs": "*?[a-z]*",
    "tilde": "~/x",
    "shell": "a; b | c & d > e < f `id` # no !x",
    "at sign": "@file",
    "comma": "a,b",
    "colon": "C:/x::y",
    "slash": "/x/y",
    "slashes and dots": "../x/./y",
    "empty": "",
    "control characters": "\x01\x1b[0m\x7f",
}

# A value that a user writes for a common word, what the engine must have understood by it, and variables.
Meaning = tuple[t.Any, dict[str, t.Any], dict[str, str]]
Meanings = dict[str, list[Meaning]]

_LIKE_VLLM: Meanings = {
    "context_length": [(4096, {"max_model_len": 4096}, {})],
    "parallel": [(4, {"max_num_seqs": 4}, {})],
    "tensor_parallel_size": [(2, {"tensor_parallel_size": 2}, {})],
    "gpu_memory_fraction": [(0.5, {"gpu_memory_utilization": 0.5}, {})],
    "dtype": [("bfloat16", {"dtype": "bfloat16"}, {}), ("half", {"dtype": "half"}, {})],
    "quantization": [("fp8", {"quantization": "fp8"}, {}), ("awq", {"quantization": "awq"}, {})],
    "chat_template": [(TEMPLATE, {"chat_template": TEMPLATE_INSIDE}, {})],
    "tools": [("hermes", {"tool_call_parser": "hermes", "enable_auto_tool_choice": True}, {})],
    "kv_cache_gib": [
        (2, {"kv_cache_memory_bytes": 2 * GIB}, {}),
        (0.5, {"kv_cache_memory_bytes": GIB // 2}, {}),
    ],
    "cpu_threads": [(3, {}, {"OMP_NUM_THREADS": "3"})],
}
#: By engine, in the names of its parser; the flag itself where there is no other name.
MEANINGS: dict[str, Meanings] = {
    "vllm": _LIKE_VLLM,
    "aphrodite": _LIKE_VLLM,
    "sglang": {
        "context_length": [(4096, {"context_length": 4096}, {})],
        "parallel": [(4, {"max_running_requests": 4}, {})],
        "tensor_parallel_size": [(2, {"tp_size": 2}, {})],
        "dtype": [("bfloat16", {"dtype": "bfloat16"}, {})],
        "quantization": [("fp8", {"quantization": "fp8"}, {}), ("awq", {"quantization": "awq"}, {})],
        "chat_template": [(TEMPLATE, {"chat_template": TEMPLATE_INSIDE}, {})],
        "tools": [
            ("hermes", {"tool_call_parser": "hermes"}, {}),
            ("llama3_json", {"tool_call_parser": "llama3"}, {}),
            ("openai", {"tool_call_parser": "gpt-oss"}, {}),
        ],
        "cpu_threads": [(3, {}, {"OMP_NUM_THREADS": "3"})],
    },
    "infinity": {
        "dtype": [("half", {"dtype": ["float16"]}, {}), ("bfloat16", {"dtype": ["bfloat16"]}, {})],
        "cpu_threads": [(3, {}, {"OMP_NUM_THREADS": "3"})],
    },
    "llama_cpp": {
        "context_length": [(4096, {"--ctx-size": "4096", "--parallel": "1"}, {})],
        "parallel": [(4, {"--parallel": "4"}, {})],
        "cpu_threads": [(3, {"--threads": "3"}, {})],
        "chat_template": [(TEMPLATE, {"--chat-template-file": TEMPLATE_INSIDE}, {})],
        "tools": [("hermes", {}, {})],
    },
    "tgi": {
        "context_length": [(4096, {"--max-total-tokens": "4096"}, {})],
        "parallel": [(4, {"--max-batch-size": "4"}, {})],
        "tensor_parallel_size": [(2, {"--num-shard": "2"}, {})],
        "gpu_memory_fraction": [(0.5, {"--cuda-memory-fraction": "0.5"}, {})],
        "dtype": [("half", {"--dtype": "float16"}, {}), ("bfloat16", {"--dtype": "bfloat16"}, {})],
        "quantization": [("awq", {"--quantize": "awq"}, {})],
        "tools": [("hermes", {}, {})],
    },
    "tei": {
        "dtype": [("half", {"--dtype": "float16"}, {}), ("float", {"--dtype": "float32"}, {})],
    },
}
#: Words that mean something together.
TOGETHER: dict[str, list[tuple[dict[str, t.Any], dict[str, t.Any]]]] = {
    "llama_cpp": [({"context_length": 4096, "parallel": 4}, {"--ctx-size": "16384", "--parallel": "4"})],
}
#: What every server is started with.
ALWAYS: dict[str, dict[str, t.Any]] = {
    "vllm": {
        "model_tag": "/models/tiny",
        "served_model_name": ["tiny"],
        "host": EVERYWHERE,
        "port": 8000,
        "load_format": "safetensors",
        "shutdown_timeout": 30,
        "trust_remote_code": False,
    },
    "aphrodite": {
        "model": "/models/tiny",
        "served_model_name": ["tiny"],
        "host": EVERYWHERE,
        "port": 2242,
        "load_format": "safetensors",
        "shutdown_timeout": 30,
        "trust_remote_code": False,
    },
    "sglang": {
        "model_path": "/models/tiny",
        "served_model_name": "tiny",
        "host": EVERYWHERE,
        "port": 30000,
        "load_format": "safetensors",
        "enable_metrics": True,
        "trust_remote_code": False,
    },
    "infinity": {
        "model_id": ["/models/tiny"],
        "served_model_name": ["tiny"],
        "host": EVERYWHERE,
        "port": 7997,
        "url_prefix": "/v1",
        "engine": ["torch"],
        "trust_remote_code": [False],
    },
    "llama_cpp": {
        "--model": "/models/tiny/tiny.gguf",
        "--alias": "tiny",
        "--host": EVERYWHERE,
        "--port": "8080",
        "--offline": True,
        "--ui": False,
    },
    "tgi": {"--model-id": "tiny", "--hostname": EVERYWHERE, "--port": "8080", "--usage-stats": "off"},
    "tei": {"--model-id": "tiny", "--served-model-name": "tiny", "--hostname": EVERYWHERE, "--port": "8080"},
}
_POOLING = {"runner": "pooling"}
_EMBEDDING = {"is_embedding": True}
#: What a task means.
TASKS: dict[str, dict[str, dict[str, t.Any]]] = {
    "vllm": {"chat": {"runner": "auto"}, "embedding": _POOLING, "rerank": _POOLING, "classify": _POOLING},
    "aphrodite": {"chat": {"runner": "auto"}, "embedding": _POOLING, "rerank": _POOLING, "classify": _POOLING},
    "sglang": {
        "chat": {"is_embedding": False},
        "embedding": _EMBEDDING,
        "rerank": _EMBEDDING,
        "classify": _EMBEDDING,
    },
    "infinity": {"embedding": {}, "rerank": {}, "classify": {}},
    "llama_cpp": {"chat": {}, "embedding": {"--embedding": True}, "rerank": {"--rerank": True}},
    "tgi": {"chat": {}},
    "tei": {"embedding": {}, "rerank": {}, "classify": {}},
}
#: A flag that takes any text, and the name of its value.
TEXT: dict[str, tuple[str, str]] = {
    "vllm": ("tokenizer", "tokenizer"),
    "aphrodite": ("tokenizer", "tokenizer"),
    "sglang": ("tokenizer-path", "tokenizer_path"),
    "infinity": ("proxy-root-path", "proxy_root_path"),
    "llama_cpp": ("reasoning-budget-message", "--reasoning-budget-message"),
    "tgi": ("otlp-service-name", "--otlp-service-name"),
    "tei": ("default-prompt", "--default-prompt"),
}
#: A flag that is followed by several words.
MANY = {"vllm": "allowed-media-domains", "aphrodite": "allowed-media-domains", "sglang": "allowed-media-domains"}
#: Awkward values that an engine cannot be given, and that are refused therefore.
# argparse takes no list in which a word begins with a dash, and forgets a value that is two dashes.
_ARGPARSE = {"dash in a list", "two dashes alone in an option"}
REFUSED: dict[str, set[str]] = {
    "vllm": _ARGPARSE,
    "aphrodite": _ARGPARSE,
    "sglang": _ARGPARSE,
    "tgi": {"line breaks in an option", "tabs and returns in an option"},
}
#: Keys that one engine or another misreads (a comment in llama.cpp's file, a flag in SGLang's), so none gets them.
REFUSED_KEYS = {"key #no", "key -x"}
#: Awkward names that are good ones; of the others ours may refuse what it likes, and what it lets pass must arrive.
GOOD_NAMES = {"equals sign in the name", "at sign in the name", "tilde in the name"}
_LIST = ["a b", "ü", "it's"]
#: Options of other kinds, and what they mean.
OPTIONS: dict[str, list[tuple[dict[str, t.Any], dict[str, t.Any]]]] = {
    "vllm": [
        ({"enable-prefix-caching": False}, {"enable_prefix_caching": False}),
        ({"no-enable-prefix-caching": True}, {"enable_prefix_caching": False}),
        ({"enable-prefix-caching": True}, {"enable_prefix_caching": True}),
        ({"allowed-media-domains": _LIST}, {"allowed_media_domains": _LIST}),
        ({"middleware": ["a.b", "c d"]}, {"middleware": ["a.b", "c d"]}),
        ({"hf-overrides": {"a": {"b": "ü ' \""}}}, {"hf_overrides": {"a": {"b": "ü ' \""}}}),
        ({"default-chat-template-kwargs": {"x": False}}, {"default_chat_template_kwargs": {"x": False}}),
        ({"seed": -1}, {"seed": -1}),
        ({"max-logprobs": 5}, {"max_logprobs": 5}),
    ],
    "aphrodite": [
        ({"enable-prefix-caching": False}, {"enable_prefix_caching": False}),
        ({"allowed-media-domains": _LIST}, {"allowed_media_domains": _LIST}),
        ({"hf-overrides": {"a": {"b": "ü ' \""}}}, {"hf_overrides": {"a": {"b": "ü ' \""}}}),
    ],
    "sglang": [
        ({"allowed-media-domains": _LIST}, {"allowed_media_domains": _LIST}),
        ({"json-model-override-args": {"a": "ü"}}, {"json_model_override_args": '{"a": "ü"}'}),
        ({"skip-server-warmup": True}, {"skip_server_warmup": True}),
        ({"chunked-prefill-size": -1}, {"chunked_prefill_size": -1}),
    ],
    "infinity": [
        ({"batch-size": [8, 4]}, {"batch_size": [8, 4]}),
        ({"revision": ["a b", "-x"]}, {"revision": ["a b", "-x"]}),
        ({"compile": False}, {"compile": [False]}),
        ({"no-compile": True}, {"compile": [False]}),
        ({"permissive-cors": True}, {"permissive_cors": True}),
    ],
    "llama_cpp": [
        ({"jinja": False}, {"--jinja": False}),
        ({"no-jinja": True}, {"--jinja": False}),
        ({"webui": True}, {"--ui": True}),
        ({"flash-attn": "on"}, {"--flash-attn": "on"}),
        ({"n-gpu-layers": 0}, {"--gpu-layers": "0"}),
        ({"chat-template-kwargs": {"a": "ü ' \""}}, {"--chat-template-kwargs": '{"a": "ü \' \\""}'}),
        ({"seed": -1}, {"--seed": "-1"}),
    ],
    "tgi": [
        ({"cors-allow-origin": ["a", "b"]}, {"--cors-allow-origin": ["a", "b"]}),
        ({"json-output": True}, {"--json-output": True}),
        ({"waiting-served-ratio": 0.3}, {"--waiting-served-ratio": "0.3"}),
    ],
    "tei": [
        ({"cors-allow-origin": ["a b", "b"]}, {"--cors-allow-origin": ["a b", "b"]}),
        ({"auto-truncate": False}, {"--auto-truncate": "false"}),
        ({"auto-truncate": True}, {"--auto-truncate": True}),
        ({"json-output": True}, {"--json-output": True}),
    ],
}


@dataclass(frozen=True)
class Case:
    """A server, and what its engine must understand by it."""

    id: str
    engine: str
    variant: str
    entry: Mapping[str, t.Any] = field(default_factory=dict)
    meant: Mapping[str, t.Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    task: str = ""

    @property
    def definition(self) -> Definition:
        """The engine's definition as it stands for the server's image."""
        return of_variant(ENGINES[self.engine], self.variant)

    @property
    def site(self) -> Site:
        """What the server's host has: one model, of the format and for the task that the case needs."""
        gguf = self.definition["models"]["format"] == "gguf"
        model = {"repo": "a/b", "revision": REVISION, "task": self.task or self.definition["default_task"]}
        return Site(
            models={"tiny": model | ({"file": "dir/tiny.gguf"} if gguf else {})},
            model_dir="/srv/models",
            registries={},
            accelerator=accelerator(self.engine, self.variant),
            engines=ENGINES,
            # Aphrodite has no image of its own.
            images={name: f"registry.example/{name}:1" for name in ENGINES},
            search=[str(TEMPLATES)],
        )

    @property
    def server(self) -> dict[str, t.Any]:
        """Its entry of `serving_servers`."""
        base = {"name": "s", "engine": self.engine, "variant": self.variant, "model": "tiny", "port": 8001}
        return base | dict(self.entry)

    def problems(self) -> list[str]:
        """List what our own check has against it."""
        return list(server_problems(self.server, self.site))

    def may_run(self) -> bool:
        """Tell whether our own check lets it pass; it must as the tables say."""
        problems = self.problems()
        if self.id in REFUSED.get(self.engine, set()) | REFUSED_KEYS:
            assert problems, "the engine cannot be told this, and it is not refused"
        elif not self.id.endswith("in the name") or self.id in GOOD_NAMES:
            assert not problems
        return not problems

    def plan(self) -> Plan:
        """Plan it."""
        planned = server_plan(self.server, self.site)
        run = planned["unit_words"]["run"]
        at = run.index("@IMAGE@")
        # docker run --entrypoint takes the program alone, and a key comes by a shell before it.
        program = [run[at - 1], *run[at + 1 :]]
        # infinity has a command of its own before the flags.
        entrypoint = [*self.definition["entrypoint"], *self.definition["command"]]
        begin = next(place for place in range(len(program)) if program[place : place + len(entrypoint)] == entrypoint)
        pairs = [run[place + 1] for place, word in enumerate(run[:at]) if word == "--env"]
        environment = dict(pair.split("=", 1) for pair in pairs)
        secrets = server_secrets(self.server, self.site)["files"]
        files = {f"{FILES}/{name}": text for name, text in planned["files"].items()}
        files |= {f"{SECRETS}/{name}": text for name, text in secrets.items()}
        return Plan(run, program[begin + len(entrypoint) :], environment, files, planned)


class Plan(t.NamedTuple):
    """What a server's container is started with."""

    #: of `docker run`
    run: list[str]
    #: after the engine's own name
    words: list[str]
    environment: dict[str, str]
    #: by path in the container, what is in it
    files: dict[str, str]
    planned: dict[str, t.Any]


def accelerator(engine: str, variant: str) -> str:
    """Tell what an image of an engine computes on."""
    return str(ENGINES[engine]["images"][variant].get("accelerator", variant))


def cases(engine: str) -> Iterator[Case]:
    """Give an engine's servers: each word by itself and all together on each image, each task, each kind of option."""
    for variant in ENGINES[engine]["images"]:
        yield from _word_cases(engine, variant)
        for task in ENGINES[engine]["tasks"]:
            yield Case(f"{variant}-task {task}", engine, variant, meant=TASKS[engine][task], task=task)
    variant = next(iter(ENGINES[engine]["images"]))
    for words, meant in TOGETHER.get(engine, []):
        yield Case(f"together {', '.join(words)}", engine, variant, words, meant)
    for options, meant in OPTIONS[engine]:
        yield Case(f"options {options}", engine, variant, {"options": options}, meant)


def awkward_cases(engine: str) -> Iterator[Case]:
    """Give servers with a value that something on its way may change: as an option, and as the model's name."""
    variant = next(iter(ENGINES[engine]["images"]))
    flag, name = TEXT[engine]
    if engine in MANY:
        yield Case("dash in a list", engine, variant, {"options": {MANY[engine]: ["a", "-x"]}})
    labels = {key: value for key, value in ALWAYS[engine].items() if value in ("tiny", ["tiny"])}
    for kind, value in AWKWARD.items():
        yield Case(f"{kind} in an option", engine, variant, {"options": {flag: value}}, {name: value})
        meant = {label: [value] if isinstance(tiny, list) else value for label, tiny in labels.items()}
        yield Case(f"{kind} in the name", engine, variant, {"served_model_name": value}, meant)


#: A key of each kind of awkwardness that a key may have.
KEYS = (
    "it's",
    'say"x"',
    "$HOME$$`id`",
    "100%h",
    "a\\nb\\",
    "-x",
    "ü東",
    "#no",
    "{a:b}",
    "*?",
    "!!str",
    "a:b",
    "~",
    "null",
    "7",
)


def key_cases(engine: str) -> Iterator[Case]:
    """Give servers with a key that something on its way may change."""
    if "refused" in ENGINES[engine]["secrets"]["api_key"]:
        return
    variant = next(iter(ENGINES[engine]["images"]))
    for key in KEYS:
        # Of the others the key comes in a file or a variable that their parsers do not see.
        meant = {"sglang": {"api_key": key}, "vllm": {"api_key": [key]}, "aphrodite": {"api_key": [key]}}.get(
            engine, {}
        )
        yield Case(f"key {key}", engine, variant, {"api_key": [key]}, meant)


def _word_cases(engine: str, variant: str) -> Iterator[Case]:
    yield Case(f"{variant}-nothing", engine, variant)
    options = of_variant(ENGINES[engine], variant)["options"]
    every: dict[str, t.Any] = {}
    meant: dict[str, t.Any] = {}
    environment: dict[str, str] = {}
    for word in options:
        # A word without a meaning here is a word that nobody has looked at.
        for value, values, variables in MEANINGS[engine][word]:
            yield Case(f"{variant}-{word}={value}", engine, variant, {word: value}, values, variables)
        value, values, variables = MEANINGS[engine][word][0]
        every[word] = value
        meant |= values
        environment |= variables
    for words, values in TOGETHER.get(engine, []):
        if words.keys() <= every.keys():
            meant |= values
            every |= words
    yield Case(f"{variant}-every word", engine, variant, every, meant, environment)


def flag_cases(engine: str) -> Iterator[tuple[str, list[Case]]]:
    """Give for each flag and way to use it the servers of which the engine must take one."""
    variant = next(iter(ENGINES[engine]["images"]))
    definition = of_variant(ENGINES[engine], variant)
    for name, flag in definition["flags"].flags.items():
        if name.removeprefix("--") in definition["owned"]:
            continue
        values: list[list[t.Any]] = [[choice] for choice in flag.choices]
        if flag.value == "none":
            values = [[True], *([[False]] if flag.off else [])]
        elif name in PECULIAR:
            values = [[PECULIAR[name]]]
        elif not values:
            values = [[[value] if flag.value == "many" else value for value in LIKELY]]
        for tries in values:
            yield (
                f"{name} {tries[0]}" if len(tries) == 1 else name,
                [Case(name, engine, variant, {"options": {name.removeprefix("--"): value}}) for value in tries],
            )


#: Of these a flag takes at least one.
LIKELY: tuple[t.Any, ...] = (
    *(1, "a", "{}", "0.5", "a=b", "1,2", "0-1", "/etc/hostname", '["a"]', "tcp://a:1", "a=int:1", 3, "none", "auto"),
    *("/tmp/", "/tmp/a.json", "a=CPU", "distribute"),  # noqa: S108  in the container
)
#: A flag takes what its kind of value does not tell.
PECULIAR: dict[str, t.Any] = {"--control-vector-layer-range": [1, 2]}
