# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents of benchmarks that were never made: engines of a set speed, drawn by a seed."""

from __future__ import annotations

import hashlib
import math
import random
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Sequence

GIB = 2**30
# As benchmark_step has them: from 0.1 ms to 100 s, each edge a tenth of a decade above the one before.
EDGES = [round(0.1 * 10 ** (index / 10), 4) for index in range(61)]
EVIL = '<script>alert("x")</script> & <b>"quoted"</b> \u202eevil {{ jinja }}'


@dataclass(frozen=True)
class Engine:
    """How an engine behaves.

    Attributes:
        name: Name of the candidate.
        title: Title of its engine.
        ttft: Median time to the first token with one request at once, in milliseconds.
        tpot: Median time of a further token with one request at once, in milliseconds.
        slots: Requests at once before they wait for each other.
        spread: Standard deviation of the logarithm of a request's times.
        more: What else the candidate has.
    """

    name: str
    title: str
    ttft: float = 60.0
    tpot: float = 12.0
    slots: float = 4.0
    spread: float = 0.12
    more: dict[str, t.Any] = field(default_factory=dict)


VLLM = Engine("vllm", "vLLM", ttft=55, tpot=9.0, slots=6)
LLAMA = Engine("llama_cpp", "llama.cpp", ttft=80, tpot=13.5, slots=3)
SGLANG = Engine("sglang", "SGLang", ttft=56, tpot=9.05, slots=6)
APHRODITE = Engine("aphrodite", "Aphrodite", ttft=95, tpot=16.0, slots=4)
INFINITY = Engine("infinity", "infinity", ttft=20, tpot=1.0)


def step(  # noqa: PLR0913  what a step is made of
    engine: Engine,
    *,
    concurrency: int | None = 1,
    rate: float | None = None,
    batch: int | None = None,
    repetition: int = 1,
    requests: int = 40,
    output: int | None = 64,
    task: str = "chat",
    seed: int = 1,
) -> dict[str, t.Any]:
    """Make one step of an engine as `benchmark_step` returns it."""
    rng = random.Random(f"{seed}/{engine.name}/{concurrency}/{rate}/{batch}/{repetition}")  # noqa: S311  to be repeated
    at_once = concurrency or max(1, round((rate or 1) * 0.5))
    load = max(1.0, at_once / engine.slots) * (1 + 0.05 * math.log2(at_once))
    drift = rng.lognormvariate(0, 0.01)
    rows = []
    gaps: list[float] = []
    for index in range(requests):
        ttft = engine.ttft * load * drift * rng.lognormvariate(0, engine.spread * 1.5)
        tpot = engine.tpot * load * drift * rng.lognormvariate(0, engine.spread)
        tokens = output or 40 + 13 * (index % 7) + len(engine.name) * 10
        own = [tpot * rng.lognormvariate(0, 0.25) for _ in range(min(tokens - 1, 24))]
        gaps += own
        e2el = ttft + tpot * (tokens - 1) if task == "chat" else engine.ttft * load * (batch or 1) ** 0.8 * drift
        rows.append((ttft, tpot, e2el, tokens, sorted(own)[len(own) // 2] if own else 0.0))
    seconds = sum(row[2] for row in rows) / 1000 / at_once * 1.01 if concurrency else requests / (rate or 1)
    chat = task == "chat"
    prompts = hashlib.sha256(f"{seed}/{repetition}/{concurrency}/{rate}/{batch}/{requests}".encode()).hexdigest()
    total = sum(row[3] for row in rows) if chat else 0
    return {
        "concurrency": concurrency,
        "rate": rate,
        "batch": batch,
        "repetition": repetition,
        "start": 1,
        "began": 1_795_600_000.0 + repetition,
        "seconds": round(seconds, 3),
        "requests": {"sent": requests, "good": requests, "failed": 0, "short": 0, "cut": 0},
        "errors": [],
        "tokens": {
            "input": 256 * requests,
            "output": total,
            "set_input": 256,
            "off_input": 0,
            "chunks": total,
            "from": "usage",
        },
        "items": requests * (batch or 1) if not chat else 0,
        "samples": {
            "ttft_ms": [round(row[0], 3) for row in rows] if chat else [],
            "tpot_ms": [round(row[1], 3) for row in rows] if chat else [],
            "e2el_ms": [round(row[2], 3) for row in rows],
            "output_tokens": [row[3] for row in rows] if chat else [],
            "itl_ms": [round(row[4], 3) for row in rows] if chat else [],
        },
        "itl": _itl(gaps) if chat else {"count": 0},
        "client": {
            "cpu_share": 0.08 * at_once**0.5,
            "late_p50_ms": 0.04,
            "late_p99_ms": 0.9,
            "late_max_ms": 2.5,
            "bottleneck": False,
            "why": "",
        },
        "prompts": prompts,
    }


def _itl(gaps: Sequence[float]) -> dict[str, t.Any]:
    ordered = sorted(gaps)
    counts = [0] * (len(EDGES) - 1)
    for gap in ordered:
        place = next((index for index, edge in enumerate(EDGES[1:]) if gap < edge), len(counts) - 1)
        counts[place] += 1
    return {
        "mean_ms": round(sum(ordered) / len(ordered), 3),
        **{f"p{share}_ms": round(ordered[int(len(ordered) * share / 100)], 3) for share in (50, 90, 99)},
        "count": len(ordered),
        "histogram": {"edges_ms": EDGES, "counts": counts},
    }


def candidate(engine: Engine, steps: list[dict[str, t.Any]], **words: t.Any) -> dict[str, t.Any]:
    """Make a candidate of measured steps."""
    return {
        "name": engine.name,
        "engine": engine.name,
        "title": engine.title,
        "status": "measured",
        "reason": "",
        "remedy": "",
        "words": {"engine": engine.name, "model": "tiny-chat", "context_length": 2048, "parallel": 16} | words,
        "changed": {},
        "image": f"docker.io/example/{engine.name}:v1@sha256:{hashlib.sha256(engine.name.encode()).hexdigest()}",
        "argv": ["--max-model-len", "2048", "--served-model-name", "tiny-chat"],
        "model": {
            "name": "tiny-chat",
            "repo": "lab/tiny-chat",
            "revision": "c0ffee" + "0" * 34,
            "format": "safetensors",
        },
        "loads": [{"start": 1.1, "wait": 5 + 2.0 * len(engine.name), "gate": 2.0}],
        "memory": {"container_peak": int((1 + len(engine.name) / 5) * GIB), "host_peak": 12 * GIB, "gpu_peak": None},
        "power_w": None,
        "answers": [
            {
                "prompt": "What is the capital of France?",
                "text": f"The capital of France is Paris. ({engine.title})",
                "ok": True,
                "why": "",
                "tokens": 8,
            },
            {"prompt": "2 + 2 = ?", "text": "4", "ok": True, "why": "", "tokens": 2},
        ],
        "steps": steps,
    } | engine.more


def document(candidates: list[dict[str, t.Any]], kind: str = "tournament", **profile: t.Any) -> dict[str, t.Any]:
    """Make a document of candidates; `profile` says what of the profile is otherwise."""
    own = dict(candidates[0]["words"]) if candidates else {}
    work = {"task": "chat", "input_tokens": 256, "output_tokens": 64, "shared_tokens": 0, "batch": 1, "prompts": []}
    return {
        "format": "llmops-benchmark",
        "version": 1,
        "kind": kind,
        "began": "2026-11-25T12:00:00Z",
        "seconds": 812.0,
        "seed": 1,
        "tools": {"llmops.serving": "0.1.0", "ansible-core": "2.19.4", "aiohttp": "3.14.0", "python": "3.11.2"},
        "host": {
            "name": "lab1",
            "os": "Debian GNU/Linux 12",
            "kernel": "6.1.0",
            "docker": "28.2.0",
            "cpu": {"model": "AMD EPYC 7763", "cores": 16, "mhz": 2450.0, "governor": "performance"},
            "memory": 64 * GIB,
            "gpus": [{"name": "NVIDIA T4", "memory": 16 * GIB, "clock_mhz": 1590, "power_limit_w": 70}],
            "driver": "580.95.05",
        },
        "inventory": {"server": "chat", "words": {"name": "chat", "port": 8000, "bind": "127.0.0.1", **own}},
        "profile": {
            "name": "chat",
            "concurrency": [1, 2, 4, 8],
            "rates": [],
            "requests": 40,
            "seconds": 10,
            "repetitions": 3,
            "warmup": 3,
            "from": "controller",
            "objective": {},
            "batches": [],
        }
        | profile
        | {"work": work | profile.get("work", {})},
        "candidates": candidates,
    }


def measured(
    engine: Engine, levels: Sequence[int] = (1, 2, 4, 8), repetitions: int = 3, **more: t.Any
) -> dict[str, t.Any]:
    """Make a candidate that was measured at numbers of requests at once."""
    return candidate(
        engine,
        [
            step(engine, concurrency=at_once, repetition=number, **more)
            for number in range(1, repetitions + 1)
            for at_once in levels
        ],
    )


def refuse(level: dict[str, t.Any]) -> None:
    """Make a step one in which the client was the bottleneck."""
    why = (
        "CPU share 0.97 of the client is above 0.9: lower benchmark_concurrency, or load it from elsewhere: --from host"
    )
    level["client"] |= {"bottleneck": True, "cpu_share": 0.97, "why": why}
    level |= {"samples": {}, "itl": {}}


def fallen(engine: Engine, status: str, reason: str, remedy: str) -> dict[str, t.Any]:
    """Make a candidate that failed or is disqualified, without steps."""
    return candidate(engine, []) | {
        "status": status,
        "reason": reason,
        "remedy": remedy,
        "loads": [],
        "answers": [],
        "memory": {},
    }


def clear_winner() -> dict[str, t.Any]:
    """A tournament that vLLM wins."""
    return document([measured(LLAMA), measured(VLLM), measured(APHRODITE)])


def tie() -> dict[str, t.Any]:
    """A tournament without a difference between the first two."""
    return document([measured(LLAMA), measured(VLLM), measured(SGLANG)])


def everything() -> dict[str, t.Any]:
    """A tournament of five engines in which all happens that can, on a tiny host with an objective."""
    slow = measured(APHRODITE)
    refused = [one for one in slow["steps"] if one["concurrency"] == 8]
    refuse(refused[1])
    lossy = measured(LLAMA)
    for one in lossy["steps"]:
        if one["concurrency"] == 8:
            one["requests"] |= {"good": 36, "failed": 2, "short": 1, "cut": 1}
            one["samples"] = {name: values[:37] for name, values in one["samples"].items()}
            one["tokens"] |= {"output": sum(one["samples"]["output_tokens"]), "off_input": 2, "from": "stream"}
            one["errors"] = [{"what": f"HTTP 503: {EVIL}", "count": 1}, {"what": "timeout after 30 s", "count": 1}]
    garbage = fallen(
        SGLANG, "disqualified", f"garbage: it answered {EVIL}", "set serving_images.sglang to a newer image"
    )
    garbage["answers"] = [
        {
            "prompt": "What is the capital of France?",
            "text": EVIL * 3,
            "ok": False,
            "why": "the answer repeats",
            "tokens": 99,
        }
    ]
    broken = fallen(Engine("infinity", "infinity"), "failed", "it does no chat", "leave it out of the engines")
    result = document([lossy, measured(VLLM), slow, garbage, broken], objective={"ttft_ms": 150, "tpot_ms": 25})
    result["profile"]["from"] = "host"
    result["host"]["cpu"]["cores"] = 2
    return result


def embedding() -> dict[str, t.Any]:
    """A tournament for embeddings, by batches."""
    engines = [INFINITY, Engine("llama_cpp", "llama.cpp", ttft=35)]
    candidates = [
        candidate(
            engine,
            [
                step(engine, concurrency=at_once, batch=batch, repetition=number, task="embedding")
                for number in (1, 2, 3)
                for batch in (1, 8, 32)
                for at_once in (1, 4)
            ],
        )
        for engine in engines
    ]
    return document(candidates, name="embedding", work={"task": "embedding", "output_tokens": None}, batches=[1, 8, 32])


def course() -> dict[str, t.Any]:
    """The seven equal prompts of the notes; the engine that writes least is done first."""
    prompts = ["Tell a fairy tale " * 20] * 7
    short = Engine("tgi", "TGI", tpot=9.5, slots=7)
    candidates = [
        measured(engine, levels=(7,), requests=7, output=output)
        for engine, output in ((short, 100), (VLLM, 180), (APHRODITE, 220))
    ]
    return document(
        candidates, name="course", concurrency=[7], requests=7, work={"prompts": prompts, "output_tokens": None}
    )


def tune() -> dict[str, t.Any]:
    """A tuning run of one engine: its own words and two others."""
    variants: list[tuple[Engine, dict[str, t.Any]]] = [
        (Engine("own", "vLLM", slots=4), {}),
        (Engine("parallel=32", "vLLM", slots=4.02), {"parallel": 32}),
        (Engine("kv_cache_gib=0.25", "vLLM", slots=2), {"kv_cache_gib": 0.25}),
    ]
    candidates = [
        measured(engine) | {"engine": "vllm", "changed": changed, "words": {"engine": "vllm", "parallel": 16} | changed}
        for engine, changed in variants
    ]
    return document(candidates, kind="tune")
