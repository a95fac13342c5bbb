# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of a benchmark's ladder: one level of load, once."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils import _bench_metrics as metrics
from ansible_collections.llmops.serving.plugins.module_utils._bench_client import (
    Load,
    Requests,
    find_target,
    heartbeat,
    load_aiohttp,
    open_connections,
    open_session,
    raise_priority,
)
from ansible_collections.llmops.serving.plugins.module_utils._bench_prompts import BenchError
from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint, HttpError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.llmops.serving.plugins.module_utils._bench_requests import Outcome, Target

#: What is asked of the model: the options below `work`. A number of tokens is no secret; no_log false says so to
#: Ansible, which warns at "token" in a name.
WORK: Mapping[str, Mapping[str, Any]] = {
    "task": {"type": "str", "choices": ["chat", "embedding", "rerank"], "default": "chat"},
    "input_tokens": {"type": "int", "default": 256, "no_log": False},
    "output_tokens": {"type": "int", "no_log": False},
    "shared_tokens": {"type": "int", "default": 0, "no_log": False},
    "batch": {"type": "int", "default": 1},
    "prompts": {"type": "list", "elements": "str", "default": []},
    "length": {"type": "dict", "default": {}},
}
#: The options of the connection, which both modules of a benchmark have.
CONNECTION: Mapping[str, Mapping[str, Any]] = {
    "url": {"type": "str", "required": True},
    "api_key": {"type": "str", "no_log": True},
    "ca_path": {"type": "path"},
    "model": {"type": "str", "required": True},
    "work": {"type": "dict", "required": True, "options": WORK},
    "libraries": {"type": "path"},
    "timeout": {"type": "float", "default": 60.0},
    "seed": {"type": "int", "default": 1},
}
#: The options of a step alone.
STEP: Mapping[str, Mapping[str, Any]] = {
    "words": {"type": "dict", "default": {}},
    "overhead": {"type": "int", "default": 0},
    "repetition": {"type": "int", "default": 1},
    "concurrency": {"type": "int"},
    "rate": {"type": "float"},
    "requests": {"type": "int", "default": 30},
    "seconds": {"type": "float", "default": 10.0},
    "max_seconds": {"type": "float", "default": 300.0},
    "limits": {
        "type": "dict",
        "default": {},
        "options": {
            "cpu_share": {"type": "float", "default": 0.9},
            "lateness": {"type": "float", "default": 0.05},
        },
    },
}
LIMITS = {"cpu_share": 0.9, "lateness": 0.05}


def run_module(module: AnsibleModule, work: Callable[[Endpoint, Mapping[str, Any]], dict[str, Any]]) -> None:
    """Does one part of a benchmark with a module's parameters and ends the module with its result.

    Args:
        module: Made with `CONNECTION` and the part's own options.
        work: The part; it is given where to ask and the parameters.
    """
    params = module.params
    endpoint = Endpoint(params["url"], params["api_key"] or None, params["timeout"], params["ca_path"])
    raise_priority()
    try:
        found = work(endpoint, params)
    except (BenchError, HttpError) as error:
        module.fail_json(msg=endpoint.hide(str(error)), changed=False)
    module.exit_json(changed=False, **endpoint.hide_all(found))


def check_work(work: Mapping[str, Any]) -> None:
    """Judges the work beyond the types of its options.

    Raises:
        BenchError: It cannot be done.
    """
    least = {"input_tokens": 1, "output_tokens": 1, "shared_tokens": 0, "batch": 1}
    for name, lowest in least.items():
        if work[name] is not None and work[name] < lowest:
            raise BenchError(f"work.{name} is {work[name]}", f"set it to at least {lowest}")
    if work["length"] and work["output_tokens"] is None:
        raise BenchError("work.length is given without a length", "set work.output_tokens")
    if any(not prompt.strip() for prompt in work["prompts"]):
        raise BenchError("one of work.prompts is empty", "give it a text or leave it out")


def run_step(endpoint: Endpoint, options: Mapping[str, Any]) -> dict[str, Any]:
    """Loads a server and measures it.

    Args:
        endpoint: Where, with which key; its timeout is for silence.
        options: Those of the module: `model`, `work` and the options in `STEP`.

    Returns:
        The step as the module documents it.

    Raises:
        BenchError: No request had an answer, or none can be made.
        HttpError: No connection can be made, or the server has no such route.
    """
    check_work(options["work"])
    for name in ("concurrency", "requests", "rate"):
        if options[name] is not None and options[name] <= 0:
            raise BenchError(f"{name} is {options[name]}", "set it to more than 0")
    aiohttp = load_aiohttp(options["libraries"])
    target = find_target(endpoint, options["model"], options["work"])
    load = "{:d}".format(options["concurrency"]) if options["concurrency"] else "rate {:g}".format(options["rate"])
    name = "{}/{}/{}".format(options["repetition"], load, target.work["batch"])
    requests = Requests(target, options["seed"], name, options["words"], options["overhead"])
    for index in range(options["requests"]):
        requests.body(index)
    # What lives now is not looked at by the collector again, whose pauses would be measured.
    gc.collect()
    gc.freeze()
    try:
        return asyncio.run(_run(aiohttp, target, requests, options, name))
    finally:
        gc.unfreeze()


async def _run(
    aiohttp: Any, target: Target, requests: Requests, options: Mapping[str, Any], name: str
) -> dict[str, Any]:
    async with open_session(aiohttp, target.endpoint) as session:
        await open_connections(session, target, options["concurrency"] or 1)
        load = Load(session, target, requests, {word: options[word] for word in ("requests", "seconds", "max_seconds")})
        began = time.time()
        with heartbeat(asyncio.get_running_loop()) as late:
            clock, cpu = time.perf_counter(), time.process_time()
            if options["concurrency"]:
                await load.closed(options["concurrency"])
            else:
                arrivals = random.Random("{}/{}/arrivals".format(options["seed"], name))  # noqa: S311  # no secret
                await load.open(options["rate"], arrivals)
            cpu_share = (time.process_time() - cpu) / (time.perf_counter() - clock)
    outcomes = load.outcomes
    demand_answers(outcomes)
    return {
        "concurrency": options["concurrency"],
        "rate": options["rate"],
        "repetition": options["repetition"],
        "began": began,
        "prompts": requests.digest(len(outcomes)),
        **_numbers(target, outcomes, late, cpu_share, options["limits"]),
    }


def _numbers(
    target: Target, outcomes: Sequence[Outcome], late: Sequence[float], cpu_share: float, limits: Mapping[str, float]
) -> dict[str, Any]:
    found = metrics.samples(outcomes, target.is_chat)
    gaps = metrics.gaps_ms(outcomes)
    pace = metrics.percentile(gaps, 50) if gaps else metrics.median(found["e2el_ms"])
    client = metrics.client(late, cpu_share, pace, {**LIMITS, **limits})
    work = target.work
    is_set = target.is_chat and not work["prompts"]
    states = Counter(outcome.state for outcome in outcomes)
    return {
        "seconds": round(max(outcome.closed for outcome in outcomes) - min(outcome.sent for outcome in outcomes), 6),
        "requests": {
            "sent": len(outcomes),
            **{state: states[state] for state in (metrics.GOOD, metrics.FAILED, metrics.SHORT, metrics.CUT)},
        },
        "errors": errors(outcomes),
        "tokens": metrics.tokens(outcomes, work["input_tokens"] if is_set else None),
        "items": 0 if target.is_chat else states[metrics.GOOD] * work["batch"],
        "samples": {} if client["bottleneck"] else found,
        "itl": {} if client["bottleneck"] else metrics.itl(gaps),
        "client": client,
    }


def errors(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Each different error with its number, the most frequent first."""
    counts = Counter(outcome.error.seen for outcome in outcomes if outcome.error is not None)
    return [{"what": what, "count": count} for what, count in counts.most_common()]


def demand_answers(outcomes: Sequence[Outcome]) -> None:
    """Demands that some request had an answer of the kind that can be measured.

    Raises:
        BenchError: None had, with the most frequent cause.
    """
    if any(outcome.state in (metrics.GOOD, metrics.SHORT) for outcome in outcomes):
        return
    counts = Counter(str(outcome.error) for outcome in outcomes if outcome.error is not None)
    text, count = counts.most_common(1)[0]
    seen, _separator, remedy = text.rpartition("; ")
    raise BenchError(
        f"none of {len(outcomes)} requests was answered; {count} of them: {seen}".replace("; ", ", "), remedy
    )
