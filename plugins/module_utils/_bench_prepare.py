# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes before the steps of a benchmark: what words take, whether answers make sense, and the warm-up."""

from __future__ import annotations

import asyncio
import platform
import re
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils import _bench_metrics as metrics
from ansible_collections.llmops.serving.plugins.module_utils._bench_client import (
    Requests,
    find_target,
    load_aiohttp,
    open_session,
)
from ansible_collections.llmops.serving.plugins.module_utils._bench_prompts import (
    OPENING,
    POOL,
    BenchError,
    repeated,
    tokens_of,
)
from ansible_collections.llmops.serving.plugins.module_utils._bench_requests import ask, send
from ansible_collections.llmops.serving.plugins.module_utils._bench_step import check_work, demand_answers
from ansible_collections.llmops.serving.plugins.module_utils._http import HttpError, one_line
from ansible_collections.llmops.serving.plugins.module_utils._probe import listed_models
from ansible_collections.llmops.serving.plugins.module_utils._probe_chat import text_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.llmops.serving.plugins.module_utils._bench_requests import Outcome, Target
    from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint

#: The options that only the preparation has.
PREPARE: Mapping[str, Mapping[str, Any]] = {
    "warmup": {"type": "int", "default": 3},
    "questions": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"prompt": {"type": "str", "required": True}, "expect": {"type": "str"}},
    },
}
# Tokens for the answer to a question: enough for a sentence.
_ANSWER = 64
# Words are asked for a few at a time; an engine on a slow processor shall not queue them.
_AT_ONCE = 4


def prepare(endpoint: Endpoint, options: Mapping[str, Any]) -> dict[str, Any]:
    """Learns what the steps need to know, judges some answers and warms the server up.

    Args:
        endpoint: Where, with which key; its timeout is for silence.
        options: Those of the module.

    Returns:
        `words`, `overhead`, `answers`, `warmup`, `versions`, as the module documents them.

    Raises:
        BenchError: Something of the benchmark itself is wrong.
        HttpError: The server does not answer as it must.
    """
    check_work(options["work"])
    for question in options["questions"]:
        _pattern(question)
    aiohttp = load_aiohttp(options["libraries"])
    _demand_model(endpoint, options["model"])
    target = find_target(endpoint, options["model"], options["work"])
    found = asyncio.run(_prepare(aiohttp, target, options))
    found["versions"] = {"python": platform.python_version(), "aiohttp": aiohttp.__version__}
    return found


def _demand_model(endpoint: Endpoint, wanted: str) -> None:
    models = listed_models(endpoint)
    if models is not None and not any(wanted in model.names for model in models):
        names = ", ".join(model.name for model in models) or "none"
        raise BenchError(
            f"the server at {endpoint.base_url} does not serve model {wanted!r}, but: {names}",
            "set model to a served name, or start the server with that one",
        )


async def _prepare(aiohttp: Any, target: Target, options: Mapping[str, Any]) -> dict[str, Any]:
    words: dict[str, int] = {}
    overhead = 0
    async with open_session(aiohttp, target.endpoint) as session:
        if target.is_chat and not target.work["prompts"]:
            overhead, words = await _learn(session, target)
        requests = Requests(target, options["seed"], "warmup", words, overhead)
        # In the order of time: an engine is warm when its answers are judged.
        warmup = await _warm_up(session, target, requests, options["warmup"])
        answers = [await _answer(session, target, question) for question in options["questions"]]
    return {"words": words, "overhead": overhead, "answers": answers, "warmup": warmup}


async def _learn(session: Any, target: Target) -> tuple[int, dict[str, int]]:
    """Tokens of the opening in its template, and of each word."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def count(prompt: str) -> int:
        async with gate:
            return _prompt_tokens(target, await ask(session, target, prompt, 1))

    # The first alone, so that a server that does not answer is asked once.
    base = await count(OPENING)
    counts = await asyncio.gather(*(count(repeated(word)) for word in POOL))
    return base, tokens_of({word: counts[place] for place, word in enumerate(POOL)}, base)


def _prompt_tokens(target: Target, body: Any) -> int:
    usage = body.get("usage") if isinstance(body, dict) else None
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise BenchError(
            f"POST {target.url}: the answer does not say usage.prompt_tokens, so no prompt of a set length can be made",
            "update the engine or the proxy before it, or give fixed texts as work.prompts",
        )
    return count


async def _warm_up(session: Any, target: Target, requests: Requests, count: int) -> dict[str, int]:
    """Sends one request alone, then the rest at once, as steps will."""
    if count < 1:
        return {"requests": 0, "failed": 0}
    outcomes: list[Outcome] = [await send(session, target, requests.body(0), requests.items)]
    outcomes += await asyncio.gather(
        *(send(session, target, requests.body(index), requests.items) for index in range(1, count))
    )
    demand_answers(outcomes)
    failed = sum(1 for outcome in outcomes if outcome.state in (metrics.FAILED, metrics.CUT))
    return {"requests": count, "failed": failed}


def _pattern(question: Mapping[str, Any]) -> re.Pattern[str]:
    try:
        return re.compile(question.get("expect") or "")
    except re.error as error:
        seen = "expect of the question {!r} is no regular expression: {}".format(
            one_line(question["prompt"], 60), error
        )
        raise BenchError(seen, "correct it") from None


async def _answer(session: Any, target: Target, question: Mapping[str, Any]) -> dict[str, Any]:
    """Asks one question of the quality guard and judges the answer as the chat probe does."""
    body = await ask(session, target, question["prompt"], _ANSWER)
    try:
        choice = body["choices"][0]
        message = choice["message"]
        content = message.get("content")
        text = content if isinstance(content, str) else ""
        thought = message.get("reasoning_content") or message.get("reasoning") or ""
        tokens = (body.get("usage") or {}).get("completion_tokens") or 0
    except (KeyError, IndexError, TypeError, AttributeError):
        raise HttpError("shape", f"POST {target.url}: the answer has no choices[0].message") from None
    is_cut = choice.get("finish_reason") == "length"
    why = text_problem(text if text.strip() or not thought else thought, is_cut) or ""
    if not why and not _pattern(question).search(text):
        why = "{!r} is not in the answer".format(question["expect"])
    return {"prompt": question["prompt"], "text": text or thought, "ok": not why, "why": why, "tokens": tokens}
