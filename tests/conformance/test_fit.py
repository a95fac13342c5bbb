# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our sums of memory, beside what the engines themselves say that they take."""

from __future__ import annotations

import json
import re
import shlex
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._fit import server_fits
from ansible_collections.llmops.serving.plugins.module_utils._shape import parse_safetensors_header, shape_of_config
from ansible_collections.llmops.serving.plugins.module_utils._shape_gguf import parse_gguf, shape_of_gguf
from ansible_collections.llmops.serving.plugins.plugin_utils._demands import demand
from llmops_serving.lab import models
from llmops_serving.lab.state import Paths
from tests.conformance.cases import Case
from tests.conformance.lab_images import docker, image, tiny_gguf

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._shape import Shape

MIB = 1 << 20
GIB = 1 << 30
HOST = {"gpus": [], "memory": {"total": 64 * GIB, "available": 64 * GIB}, "held": {}}
# Long enough for vLLM's imports on two cores.
SECONDS = {"llama_cpp": 30, "vllm": 240}


def ours(case: Case, shape: Shape) -> dict[str, t.Any]:
    """Give our sum for a server."""
    return server_fits([demand(case.server, case.site)], {"tiny": shape}, HOST)[0]


def said(case: Case, mount: str, until: str, **environment: str) -> str:
    """Start a server's engine, and give what it says up to some words."""
    plan = case.plan()
    entrypoint = shlex.join([*case.definition["entrypoint"], *plan.words])
    seconds = SECONDS[case.engine]
    # Not by a pipe alone: the shell would wait for the engine, which serves on.
    script = f"mkfifo /run/said\ntimeout {seconds} {entrypoint} > /run/said 2>&1 & sed -e '/{until}/q' /run/said"
    # Caches lie in a volume, which there is none of here.
    pairs = {**plan.environment, "HOME": "/root", "VLLM_CACHE_ROOT": "/root/vllm", **environment}
    words = [word for name, value in pairs.items() for word in ("--env", f"{name}={value}")]
    words += ["--tmpfs", "/run", "--network", "none", "--shm-size", "1g", "--mount", f"type=bind,{mount},readonly"]
    return docker(
        "run", "--rm", *words, "--entrypoint", "/bin/sh", image(case.engine), "-c", script, check=False
    ).stdout


def mebibytes(text: str, what: str) -> float:
    """Sum up the buffers of a kind that llama.cpp tells."""
    found = re.findall(rf" {what} buffer size = +([\d.]+) MiB", text)
    assert found, text[-2000:]
    return sum(map(float, found))


@pytest.mark.parametrize(
    "entry",
    [
        {"context_length": 1024, "parallel": 3, "options": {"cache-type-k": "q8_0"}},
        {"context_length": 4096, "options": {"cache-type-k": "f32", "cache-type-v": "f32"}},
        # Laid out in 256 cells.
        {"context_length": 300, "parallel": 8},
    ],
)
def test_llama_server_takes_what_we_say(entry: dict[str, t.Any]) -> None:
    case = Case("fit", "llama_cpp", "cpu", entry)
    found = ours(case, shape_of_gguf(*parse_gguf(tiny_gguf().read_bytes())))
    mount = f"src={tiny_gguf()},dst=/models/tiny/tiny.gguf"
    text = said(case, mount, "new slot", LLAMA_ARG_LOG_VERBOSITY="4")
    parts = {part["what"]: part["bytes"] / MIB for part in found["sum"]}
    # It tells two digits.
    assert mebibytes(text, "KV") == pytest.approx(parts["KV cache"], abs=0.01)
    assert mebibytes(text, "model") == pytest.approx(parts["weights"], rel=0.02)


def test_vllm_holds_as_many_tokens_as_we_say() -> None:
    folder: Path = models.place(Paths()) / "tiny-chat"
    case = Case("fit", "vllm", "cpu", {"context_length": 2048, "kv_cache_gib": 0.0625})
    header = parse_safetensors_header((folder / "model.safetensors").read_bytes())
    shape = shape_of_config(json.loads((folder / "config.json").read_text(encoding="utf-8")), [header])
    found = ours(case, shape)
    text = said(case, f"src={folder},dst=/models/tiny", "KV cache size")
    match = re.search(r"KV cache size: ([\d,]+) tokens", text)
    assert match, text[-3000:]
    tokens = int(match[1].replace(",", ""))
    (cache,) = [part["bytes"] for part in found["sum"] if part["what"] == "KV cache"]
    each = sum(layer.values for layer in shape.cache) * 2
    # One block of 128 tokens is never given away.
    assert cache // each - 128 <= tokens <= cache // each
    assert found["requests"] in (tokens // 2048, tokens // 2048 + 1)
