# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our load client and `vllm bench serve` side by side on one server: they must say the same of it.

They run at the same time, each with one request under way. One after the other they would meet a different machine each
time: on two busy cores the speed of the engine itself varies by more than what is asked. Both send prompts of our own,
for the random ones of vLLM hold rare characters, and take the server itself a tenth longer to the first token.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
import typing as t
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmops_serving.lab import models
from llmops_serving.lab.state import Paths
from tests.conformance.lab_images import docker, image

if t.TYPE_CHECKING:
    from collections.abc import Iterator

PLUGINS = Path(__file__).parents[2] / "plugins"
REQUESTS = 40
CONCURRENCY = 1
OUTPUT = 100
#: Tokens of a prompt, the chat template included.
INPUT = 125
URL = "http://127.0.0.1:8000"
#: Where in the container the collection lies.
COLLECTIONS = "/collections"
#: What `vllm bench serve` prints when its measured requests begin.
BEGUN = "Starting main benchmark run"
#: Seconds by which ours begins later in each run, up to about an answer: who asks for a prefill while another is made
#: waits for that, so each run shall begin at another place of the other's answer.
APART = (0.05, 0.15, 0.25, 0.35, 0.45)
LIMITS = {"ttft": 0.05, "tpot": 0.05, "throughput": 0.03}

# Files inside the container.
PROMPTS = "/tmp/prompts.json"  # noqa: S108
RESULT = "/tmp/result.json"  # noqa: S108

SERVE = [
    "serve", "/models/tiny-chat", "--served-model-name", "tiny-chat", "--port", "8000", "--max-model-len", "512",
    "--max-num-seqs", "4", "--kv-cache-memory-bytes", "268435456", "--load-format", "safetensors", "--enforce-eager",
    "--no-enable-prefix-caching", "--disable-uvicorn-access-log",
]  # fmt: skip
# Their session looks for a .netrc and for proxies before each request, in threads; where more programs want to run than
# there are cores that takes milliseconds, which count as the server's time to the first token. Here there are neither.
WITHOUT_LOOKING = """
import aiohttp
import vllm.benchmarks.serve
from vllm.entrypoints.cli.main import main

session = aiohttp.ClientSession
aiohttp.ClientSession = lambda *args, **words: session(*args, **{**words, "trust_env": False})
main()
"""
THEIRS = [
    "python3", "-c", WITHOUT_LOOKING, "bench", "serve", "--backend", "openai-chat", "--base-url", URL,
    "--endpoint", "/v1/chat/completions", "--model", "tiny-chat", "--tokenizer", "/models/tiny-chat",
    "--dataset-name", "sharegpt", "--dataset-path", PROMPTS, "--sharegpt-output-len", str(OUTPUT),
    "--num-prompts", str(REQUESTS), "--max-concurrency", str(CONCURRENCY), "--num-warmups", "2", "--ignore-eos",
    "--temperature", "0", "--disable-tqdm", "--save-result", "--result-filename", RESULT,
]  # fmt: skip
OURS = """
import json, sys
from ansible_collections.llmops.serving.plugins.module_utils._bench_prepare import prepare
from ansible_collections.llmops.serving.plugins.module_utils._bench_prompts import Prompts
from ansible_collections.llmops.serving.plugins.module_utils._bench_step import run_step
from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint

options = json.loads(sys.stdin.readline())
endpoint = Endpoint(options.pop("url") + "/v1")
prepared = prepare(endpoint, options)
room = options["work"]["input_tokens"] - prepared["overhead"]
prompts = Prompts(options["seed"], "theirs", prepared["words"], room)
talks = [
    {"conversations": [{"value": prompts.make(index)}, {"value": "An answer, which is not used."}]}
    for index in range(options["requests"])
]
with open(options["prompts"], "w") as file:
    json.dump(talks, file)
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(run_step(endpoint, {**options, "words": prepared["words"], "overhead": prepared["overhead"]})))
"""


class Numbers(t.NamedTuple):
    """What a client says of one run; times in ms, throughput in tokens a second."""

    ttft: float
    tpot: float
    throughput: float
    input: int


@contextmanager
def server() -> Iterator[str]:
    """Run vLLM with the lab's model in a container without a network, in which both clients run too."""
    model = models.place(Paths()) / "tiny-chat"
    if not model.is_dir():
        pytest.fail(f"the model {model} is missing: make it with `llmops lab up --engines vllm`", pytrace=False)
    name = f"llmops-conformance-bench-{uuid.uuid4().hex[:8]}"
    environment = {
        "HF_HUB_OFFLINE": "1",
        "HOME": "/tmp",  # noqa: S108  # inside the container
        "PYTHONPATH": COLLECTIONS,
        "PYTHONUNBUFFERED": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
    }
    words = ["run", "--detach", "--rm", "--name", name, "--network", "none", "--shm-size", "2g"]
    words += [word for key, value in environment.items() for word in ("--env", f"{key}={value}")]
    words += ["--volume", f"{model}:/models/tiny-chat:ro"]
    words += ["--volume", f"{PLUGINS}:{COLLECTIONS}/ansible_collections/llmops/serving/plugins:ro"]
    docker(*words, "--entrypoint", "vllm", image("vllm"), *SERVE)
    try:
        await_health(name)
        yield name
    finally:
        docker("rm", "--force", name)


def await_health(name: str) -> None:
    """Wait until the server answers."""
    ask = f"import urllib.request as u; u.urlopen('{URL}/health')"
    until = time.monotonic() + 120
    while docker("exec", name, "python3", "-c", ask, check=False).returncode:
        if time.monotonic() > until:
            pytest.fail(f"vLLM did not start:\n{docker('logs', '--tail', '30', name).stdout}", pytrace=False)
        time.sleep(1)


def run_both(name: str, seed: int, apart: float) -> dict[str, Numbers]:
    """Let both measure at the same time, once."""
    with start(name, ["python3", "-c", OURS]) as our_client:
        say(our_client, json.dumps(our_options(seed)))
        await_line(our_client, "ready")
        with start(name, [*THEIRS, "--seed", str(seed)]) as their_client:
            await_line(their_client, BEGUN)
            time.sleep(apart)
            said = our_client.communicate("\n")[0]
            rest = their_client.communicate()[0]
    assert (our_client.returncode, their_client.returncode) == (0, 0), said + rest
    return {"ours": our_numbers(json.loads(said.splitlines()[-1])), "theirs": their_numbers(name)}


def start(name: str, words: list[str]) -> subprocess.Popen[str]:
    """Start a program in the container."""
    command = ["docker", "exec", "--interactive", name, *words]
    return subprocess.Popen(  # noqa: S603  # our own words
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def say(process: subprocess.Popen[str], line: str) -> None:
    """Give a program a line."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def await_line(process: subprocess.Popen[str], start_of_line: str) -> None:
    """Read what a program prints until a line that begins so."""
    assert process.stdout is not None
    read = []
    for line in process.stdout:
        if line.startswith(start_of_line):
            return
        read.append(line)
    pytest.fail(f"no line {start_of_line!r} in:\n{''.join(read[-20:])}", pytrace=False)


def our_options(seed: int) -> dict[str, t.Any]:
    """Give the options of both modules of a benchmark."""
    work = {
        "task": "chat",
        "input_tokens": INPUT,
        "output_tokens": OUTPUT,
        "shared_tokens": 0,
        "batch": 1,
        "prompts": [],
        "length": {"ignore_eos": True},
    }
    return {
        "url": URL,
        "model": "tiny-chat",
        "work": work,
        "libraries": None,
        "seed": seed,
        "warmup": 2,
        "questions": [],
        "prompts": PROMPTS,
        "repetition": 1,
        "concurrency": CONCURRENCY,
        "rate": None,
        "requests": REQUESTS,
        "seconds": 0.0,
        "max_seconds": 120.0,
        # This is about what it says of the server; whether a busy machine lets it say so is another matter.
        "limits": {"cpu_share": 1.0, "lateness": 9.0},
    }


def our_numbers(found: dict[str, t.Any]) -> Numbers:
    """Read a step."""
    assert found["requests"]["good"] == found["requests"]["sent"] == REQUESTS
    assert found["tokens"]["off_input"] == 0
    assert found["tokens"]["output"] == REQUESTS * OUTPUT
    return Numbers(
        statistics.median(found["samples"]["ttft_ms"]),
        statistics.median(found["samples"]["tpot_ms"]),
        found["tokens"]["output"] / found["seconds"],
        found["tokens"]["input"],
    )


def their_numbers(name: str) -> Numbers:
    """Read what `vllm bench serve` wrote."""
    found = json.loads(docker("exec", name, "cat", RESULT).stdout)
    assert found["completed"] == REQUESTS
    assert found["total_output_tokens"] == REQUESTS * OUTPUT
    return Numbers(
        found["median_ttft_ms"], found["median_tpot_ms"], found["output_throughput"], found["total_input_tokens"]
    )


def test_both_clients_say_the_same_of_one_server() -> None:
    told: dict[str, list[Numbers]] = {"ours": [], "theirs": []}
    with server() as name:
        for run, apart in enumerate(APART, 1):
            for who, numbers in run_both(name, run, apart).items():
                told[who].append(numbers)
                print(who, numbers)
    # A run is compared with the one beside it, and the median of the runs counts.
    off = {
        word: statistics.median(
            getattr(our, word) / getattr(their, word) - 1 for our, their in zip(*told.values(), strict=True)
        )
        for word in (*LIMITS, "input")
    }
    print({word: f"{share:+.2%}" for word, share in off.items()})
    # The same work, or the times say nothing.
    assert off["input"] == 0
    assert {word: share for word, share in off.items() if word in LIMITS and abs(share) > LIMITS[word]} == {}
