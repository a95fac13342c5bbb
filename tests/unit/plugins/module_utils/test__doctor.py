# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._doctor import (
    compute,
    diagnose,
    in_order,
    last_words,
    matched,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions

TOO_LONG = (
    "ValueError: To serve at least one request with the model's max seq len (8192), (1.0 GiB KV cache is needed, "
    "which is larger than the available KV cache memory (0.25 GiB). Based on the available memory, the estimated "
    "maximum model length is 2048. Try increasing"
)
NO_ROOM = (
    "ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=1e-05. Raise "
    "--mem-fraction-static above 0.002 (minimum viable = 1 - available/pre = 0.0012)."
)
# Literal lines of the engines, and words of the cause and of the remedy that follow.
LOGS = [
    ("llama_cpp", ["error: invalid argument: --mlock"], "--mlock", "options"),
    (
        "llama_cpp",
        ["tensor 'blk.0.ffn_down.weight' data is not within the file bounds, model is corrupted or incomplete"],
        "truncated or corrupt",
        "models_verify",
    ),
    ("llama_cpp", ["gguf_init_from_file_impl: invalid magic characters: 'PK', expected 'GGUF'"], "no GGUF", "file"),
    ("llama_cpp", ["llama_model_load: error loading model: unknown model architecture: 'foo'"], "foo", "image"),
    ("vllm", ["vllm: error: unrecognized arguments: --disable-log-requests"], "--disable-log-requests", "options"),
    (
        "vllm",
        ["(Worker pid=25) ERROR [x.py:1] RuntimeError: Unsupported CPU attention configuration: head_dim=16 isa=2"],
        "attention heads of size 16",
        "another engine",
    ),
    ("sglang", [NO_ROOM], "does not even hold the weights", "at the least 0.002"),
    ("vllm", [TOO_LONG], "no room for one request", "context_length of the server to 2048 or less"),
    (
        "vllm",
        ["ValueError: Free memory on device (1/2 GiB) on startup is less than desired GPU memory utilization (0.92)"],
        "other programs hold memory",
        "gpu_memory_fraction",
    ),
    (
        "vllm",
        ["safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge"],
        "no safetensors file",
        "verify",
    ),
    (
        "sglang",
        ["RuntimeError: Not enough memory. Please try to increase --mem-fraction-static. Current value: x"],
        "too small for the weights",
        "set options: {mem-fraction-static: 0.",
    ),
    (
        "sglang",
        ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"],
        "a fixed share of the whole GPU",
        "set options: {mem-fraction-static: 0.",
    ),
    (
        "sglang",
        ["ValueError: awq quantization requires some operators from vllm. Please install vllm"],
        "from before SGLang had kernels for AWQ",
        "image",
    ),
    (
        "aphrodite",
        ["ERROR TypeError: _compute_slot_mapping_kernel_impl() got multiple values for argument 'PAD_ID'"],
        "healthy and cannot answer",
        "image",
    ),
    ("tgi", ["error: unexpected argument '--modell' found"], "--modell", "options"),
    (
        "tgi",
        ['Error: NotEnoughCUDADevices("`sharded` is true but only found 1 CUDA devices")'],
        "fewer GPUs",
        "tensor_parallel",
    ),
    (
        "tei",
        ["Could not start backend: Runtime compute cap 75 is not compatible with compile time compute cap 80"],
        "generation 80",
        "image",
    ),
    (
        "llama_cpp",
        ["error while handling argument \"-fa\": error: unknown value for --flash-attn: '--port'"],
        "-fa",
        "options",
    ),
    ("infinity", ["│ No such option: --bach-size Did you mean --batch-size? │"], "--bach-size", "options"),
    ("infinity", ["ValueError: No onnx files found for /models/x and revision None"], "ONNX", "engine"),
    ("infinity", ["ValueError: Expected length 2 but got 3"], "3 values for 2 models", "one a model"),
    ("infinity", ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.88 GiB"], "memory", "batch-size"),
    ("infinity", ["HFValidationError: Repo id must be in the form 'repo_name'"], "directory is missing", "verify"),
]


@pytest.mark.parametrize(("engine", "lines", "cause", "remedy"), LOGS)
def test_names_cause_and_remedy(engine: str, lines: list[str], cause: str, remedy: str) -> None:
    log = ["Starting up", *lines, "main: exiting due to model loading error"]
    found = diagnose(log, definitions()[engine]["doctor"])
    assert cause in found.cause
    assert remedy in found.remedy


def test_without_a_rule_the_last_speaking_line_is_the_cause() -> None:
    log = ["loading", "cannot open /x", "Main process exited, code=exited, status=1/FAILURE", "bye"]
    assert diagnose(log, []).cause == "cannot open /x"


def test_an_empty_log_says_so() -> None:
    assert "no log" in diagnose([], []).cause


def test_braces_of_a_remedy_stay() -> None:
    rule = {"pattern": "x", "cause": "c", "remedy": "set options: {batch-size: 8}"}
    assert diagnose(["x"], [rule]).remedy == "set options: {batch-size: 8}"


# Lines of engines that are ready and not what was asked for.
HEALTHY = [
    ("llama_cpp", "warning: no usable GPU found, --gpu-layers option will be ignored", "computes on the CPU"),
    (
        "llama_cpp",
        "ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected",
        "computes on the CPU",
    ),
    ("llama_cpp", "load_tensors: offloaded 0/25 layers to GPU", "none of the 25 layers"),
    ("llama_cpp", "srv  main: starting server in router mode", "got no model"),
]


@pytest.mark.parametrize(("engine", "line", "cause"), HEALTHY)
def test_sees_what_a_healthy_log_hides(engine: str, line: str, cause: str) -> None:
    found = matched(["start", line, "main: model loaded"], definitions()[engine]["healthy_but"])
    assert found
    assert cause in found.cause


def test_a_good_log_hides_nothing() -> None:
    lines = ["load_tensors: offloaded 25/25 layers to GPU", "main: model loaded"]
    assert matched(lines, definitions()["llama_cpp"]["healthy_but"]) is None


def test_the_last_words_are_those_of_the_error() -> None:
    assert last_words(["ValueError: this", "INFO: 1.2.3.4 GET /health"]) == "ValueError: this"
    assert last_words([]) == ""
    trace = [
        "RuntimeError: head_dim=16",
        '  File "/opt/x.py", line 3, in error',
        "EngineDeadError: see stack trace above",
    ]
    assert last_words(trace) == "RuntimeError: head_dim=16"


def rule(pattern: str, cause: str = "c", remedy: str = "r", **words: t.Any) -> dict[str, t.Any]:
    return {"pattern": pattern, "cause": cause, "remedy": remedy, **words}


def test_generic_rules_come_last_and_the_others_as_they_stand() -> None:
    rules = [rule("z", generic=True), rule("b"), rule("y", generic=True), rule("a", generic=False)]
    assert [entry["pattern"] for entry in in_order(rules)] == ["b", "a", "z", "y"]
    # Whichever line comes first, and whichever rule.
    for lines in (["it died", "no room"], ["no room", "it died"]):
        found = matched(lines, [rule("died", "it ended", generic=True), rule("no room", "memory")])
        assert found
        assert found.cause == "memory"


def test_says_which_rule_knew_which_line() -> None:
    named = rule(r"no (?P<what>\w+)", "no {what}", name="lack", source="engine 1.2 server.py")
    found = matched(["ok", "  there is no room  "], [named])
    assert found
    assert (found.cause, found.rule, found.source) == ("no room", "lack", "engine 1.2 server.py")
    assert found.line == "there is no room"
    plain = matched(["no room"], [rule("no room")])
    assert plain
    assert (plain.rule, plain.source) == ("no room", "")
    assert diagnose(["error: odd"], [])[2:] == ("", "", "")


COMPUTED = [
    ("down(fits, 256)", {"fits": "4000"}, "3840"),
    ("up(fits, 512)", {"fits": "4,000"}, "4096"),
    ("up(fits,512)", {"fits": "4096"}, "4096"),
    ("per(kib, 1048576)", {"kib": "3500000"}, "3.33"),
    ("times(slots, size)", {"slots": "4", "size": "2048"}, "8192"),
    ("plus(least, 0.01)", {"least": "0.802"}, "0.81"),
    ("minus(limit, used)", {"limit": "10", "used": "2.5"}, "7.50"),
    ("least(one, other)", {"one": "8", "other": "16"}, "8"),
    ("most(one, 12)", {"one": "8"}, "12"),
    # What cannot be worked out leaves the number that was seen.
    ("per(one, 0)", {"one": "8"}, "8"),
    ("down(one, 4)", {"one": "many"}, "many"),
    ("up(one, 4)", {"one": "inf"}, "inf"),
]


@pytest.mark.parametrize(("expression", "words", "value"), COMPUTED)
def test_works_out_values(expression: str, words: dict[str, str], value: str) -> None:
    assert compute(expression, words) == value


@pytest.mark.parametrize("expression", ["__import__(os)", "down", "down(up(1, 2), 3)", "fits * 2", "down(1)"])
def test_a_rule_can_call_nothing_else(expression: str) -> None:
    with pytest.raises(ValueError, match=r"down"):
        compute(expression, {})


def test_a_remedy_has_values_out_of_values() -> None:
    lines = ["request (3000 tokens) exceeds the available context size (2048 tokens)"]
    asked = rule(
        r"\((?P<asked>\d+) tokens\) exceeds", "too long", "set context_length to {whole}, {twice} for two",
        compute={"whole": "up(asked, 1024)", "twice": "times(whole, 2)"},
    )  # fmt: skip
    found = matched(lines, [asked])
    assert found
    assert found.remedy == "set context_length to 3072, 6144 for two"


def test_a_generic_rule_can_tell_the_last_words() -> None:
    lines = ["ValueError: odd shape", "exit code 1: failed"]
    found = matched(lines, [rule("exit code 1:", "it ended: {said}", generic=True)])
    assert found
    assert found.cause == "it ended: ValueError: odd shape"


ENDS = [
    # What the engine says goes before what its host says, though that comes later.
    (["RuntimeError: odd", "kernel: NVRM: failed", "exit code 1: failed"], "RuntimeError: odd"),
    (["loading", "dockerd: level=error msg=broken", "exit code 1: failed"], "dockerd: level=error msg=broken"),
    (
        ["loading 30 %", "exit code 137: killed (SIGKILL)"],
        "exit code 137: killed (SIGKILL); its last words: loading 30 %",
    ),
    (["exit code 137: killed (SIGKILL)"], "exit code 137: killed (SIGKILL)"),
    (["loading 30 %"], "loading 30 %"),
    (["cannot open /x", "Error: No such container: llmops-chat"], "cannot open /x"),
    (["loading", "systemd: x.service: Failed to read pids.max, ignoring: No data available"], "loading"),
]


@pytest.mark.parametrize(("lines", "words"), ENDS)
def test_the_last_words_are_the_engine_s_before_its_host_s(lines: list[str], words: str) -> None:
    assert last_words(lines) == words
