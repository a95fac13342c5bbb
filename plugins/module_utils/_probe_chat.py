# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chat probe: does the model answer in words, whole and streamed, with honest counts and under its own name."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._http import (
    Answer,
    HttpError,
    Stream,
    one_line,
    request_events,
    server_message,
)
from ansible_collections.llmops.serving.plugins.module_utils._probe import Context, Probe, own_routes, shape_error
from ansible_collections.llmops.serving.plugins.module_utils._probe_schema import violations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PATH = "/chat/completions"
_DONE = "[DONE]"

# OpenAI's names, and TGI's (`eos_token`, `stop_sequence`).
_FINISHED = ("stop", "length", "tool_calls", "function_call", "eos_token", "stop_sequence")

# A repeated unit is at most this long; text is judged on its first part, which keeps the search short.
_UNIT = 32
_JUDGED = 2000
_REPEATS = 4
_TAIL_REPEATS = 8
_GARBAGE_SHARE = 0.1
_REPLACEMENT = "\ufffd"
# A character cut by max_tokens leaves at most this many of them at the end.
_CUT_CHARACTER = 3
# Up to here an answer may be one piece of text and an end mark, so it cannot come in two pieces.
_SHORT_ANSWER = 2
# A drawn answer says whatever it says; that it comes is what counts.
_SAMPLED_TOKENS = 8
# JSON and tool calls need room whatever room the plain answer was given.
_STRUCTURED_TOKENS = 256

_TOOL: Mapping[str, Any] = {
    "name": "get_weather",
    "description": "Says the present weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city"}},
        "required": ["city"],
    },
}
_TOOL_PROMPT = "What is the weather in Paris now? Call the tool get_weather."
_TOOL_REMEDY = (
    "give the engine a tool call parser that fits the model (vLLM and Aphrodite: --enable-auto-tool-choice with "
    "--tool-call-parser; SGLang: --tool-call-parser; llama.cpp: --jinja), or set tool_call to false"
)
_GARBAGE_REMEDY = (
    "the model computes nonsense: check that its weights are complete and of this model, and the quantization, dtype "
    "and chat template the engine was given"
)


@dataclass(frozen=True)
class _Reply:
    """One message of the model.

    Attributes:
        text: What it answers.
        reasoning: What it thought before, where the engine separates that.
        finish_reason: Why it ended.
        tool_calls: As the engine parsed them.
    """

    text: str
    reasoning: str
    finish_reason: Any
    tool_calls: Sequence[Any]


def repeated_unit(text: str) -> str | None:
    """The unit that makes up a text by repetition, or None for a text that says something.

    A text counts as repetition if a unit of at most 32 characters fills it four times or more; or if it does so eight
    times after a beginning of at most a quarter of the text, since a broken cache gives one good token and then noise.
    """
    flat = " ".join(text.split())[:_JUDGED]
    for start in range(len(flat) // 4 + 1):
        tail = flat[start:]
        needed = _TAIL_REPEATS if start else _REPEATS
        for size in range(1, min(_UNIT, (len(tail) + 1) // needed) + 1):
            unit = tail[:size]
            # The last space of "no no no no" is missing.
            length = len(tail) + (1 if unit.endswith(" ") else 0)
            if length >= size * needed and tail == (unit * (len(tail) // size + 1))[: len(tail)]:
                return unit.strip() or unit
    return None


def garbage_share(text: str, cut: bool) -> float:
    """The share of characters that no language has: control, private use, surrogates, U+FFFD; from 0 to 1.

    Args:
        text: Text to judge.
        cut: Whether its last character may have been cut in the middle.
    """
    body = text
    if cut:
        trimmed = text.rstrip(_REPLACEMENT)
        body = trimmed if len(text) - len(trimmed) <= _CUT_CHARACTER else text
    if not body:
        return 1.0
    bad = sum(
        1
        for char in body
        if char == _REPLACEMENT or (unicodedata.category(char) in ("Cc", "Co", "Cs") and char not in "\t\n\r")
    )
    return bad / len(body)


def text_problem(text: str, cut: bool) -> str | None:
    """What is wrong with a text as an answer, or None."""
    if not text.strip():
        return "the answer is empty" if not text else "the answer is white space only"
    if garbage_share(text, cut) > _GARBAGE_SHARE:
        return f"unprintable garbage: {_quote(text)}"
    if not any(char.isalnum() for char in text):
        return f"no letter or digit in {_quote(text)}"
    unit = repeated_unit(text)
    if unit is not None:
        return f"one token repeated: {_quote(unit)} in {_quote(text)}"
    return None


def run(context: Context) -> None:
    """Sends the plain, the system, the streamed, the sampled and the optional structured requests and judges each."""
    report, options = context.report, context.options
    report.stage = "answer"
    answer = _ask(context, _user(options["prompt"]))
    report.latency = answer.seconds
    report.raw = answer.body
    reply = _reply(answer)
    report.sample = reply.text or reply.reasoning
    report.add("answer", True, f"POST {answer.url} in {answer.seconds * 1000:.0f} ms")
    _check_text(context, "text", reply)
    report.add(
        "finish_reason",
        reply.finish_reason in _FINISHED,
        repr(reply.finish_reason),
        "generation did not end in a known way: see the engine's log for an aborted request",
    )
    tokens = _check_usage(context, answer.body)
    context.check_model(answer.body, required=True)
    if options["expect"]:
        _check_expect(context, reply)
    _tell_system_role(context, answer.body)
    report.stage = "stream"
    _check_stream(context, tokens)
    report.stage = "sampled"
    _check_sampled(context)
    if options["tool_call"]:
        report.stage = "tool_call"
        _check_tool_call(context)
    if options["json_schema"]:
        report.stage = "json_schema"
        _check_json(context, options["json_schema"])


def _user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _ask(context: Context, messages: list[dict[str, str]], **extra: Any) -> Answer:
    payload = {"messages": messages, "max_tokens": context.options["max_tokens"], "temperature": 0}
    payload.update(extra)
    payload = {name: value for name, value in payload.items() if value is not None}
    return context.post(own_routes(context.endpoint, _PATH), payload)


def _reply(answer: Answer) -> _Reply:
    try:
        choice = answer.body["choices"][0]
        message = choice["message"]
        calls = message.get("tool_calls")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise shape_error(answer, "choices[0].message") from None
    return _Reply(
        text=_text(message.get("content")),
        reasoning=_reasoning(message),
        finish_reason=choice.get("finish_reason"),
        tool_calls=calls if isinstance(calls, list) else (),
    )


def _reasoning(message: Mapping[str, Any]) -> str:
    # SGLang and llama.cpp say `reasoning_content`, vLLM and Aphrodite `reasoning`.
    return _text(message.get("reasoning_content")) or _text(message.get("reasoning"))


def _text(content: Any) -> str:
    """A message's content as text: it may be a text, a list of parts, or null."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _quote(text: str) -> str:
    return repr(one_line(text, 80)) if text.strip() else repr(text[:20])


def _check_text(context: Context, name: str, reply: _Reply) -> bool:
    """Adds the check that a reply says something; a model may still be thinking when max_tokens ends it."""
    cut = reply.finish_reason == "length"
    shown = reply.text
    remedy = _GARBAGE_REMEDY
    thinking = not reply.text.strip() and bool(reply.reasoning.strip())
    if thinking:
        shown = reply.reasoning
    problem = text_problem(shown, cut)
    if thinking and not cut and problem is None:
        problem = "the reasoning ended but no answer followed"
        remedy = "choose the engine's reasoning parser that fits this model, or none"
    if problem:
        return context.report.add(name, False, problem, remedy)
    if thinking:
        limit = context.options["max_tokens"]
        return context.report.add(name, True, f"only reasoning within max_tokens={limit}: {_quote(shown)}")
    return context.report.add(name, True, _quote(shown))


def _check_usage(context: Context, body: Mapping[str, Any]) -> int | None:
    """Adds the check of the token counts; returns the number of generated tokens if it is sane."""
    usage = body.get("usage")
    prompt, completion, total = (_count(usage, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    sane = prompt > 0 and 0 < completion <= context.options["max_tokens"] and total == prompt + completion
    detail = f"prompt {prompt} + completion {completion} = total {total}, max_tokens {context.options['max_tokens']}"
    context.report.add(
        "usage",
        sane,
        detail,
        "the counts are missing or do not add up, so billing and limits built on them are wrong: update the engine or "
        "the proxy before it",
    )
    return completion if sane else None


def _check_expect(context: Context, reply: _Reply) -> None:
    pattern = context.options["expect"]
    remedy = "correct the option expect, or serve the model that knows the answer"
    if not reply.text.strip() and reply.reasoning.strip():
        remedy = "raise max_tokens so that the model can finish its reasoning"
    found = re.search(pattern, reply.text) is not None
    detail = "{!r} {} {}".format(pattern, "found in" if found else "not found in", _quote(reply.text))
    context.report.add("expect", found, detail, remedy)


def _tell_system_role(context: Context, plain: Mapping[str, Any]) -> None:
    """Tells whether the chat template takes a system message; never a failure, since many templates do not."""
    messages = [{"role": "system", "content": "You are a helpful assistant."}, *_user(context.options["prompt"])]
    try:
        answer = _ask(context, messages, max_tokens=1)
        _reply(answer)
    except HttpError as error:
        context.report.add("system_role", True, f"not supported: {error.seen}")
        return
    before, after = (_count(body.get("usage"), "prompt_tokens") for body in (plain, answer.body))
    if before < 0 or after < 0:
        detail = "accepted"
    elif after > before:
        detail = f"supported: it adds {after - before} prompt tokens"
    else:
        detail = "accepted, but it adds no prompt tokens: the chat template drops it or has one of its own"
    context.report.add("system_role", True, detail)


def _count(usage: Any, name: str) -> int:
    """A token count; -1 if it is missing or no integer."""
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) else -1


def _check_stream(context: Context, tokens: int | None) -> None:
    """Streams the same question and judges the pieces, the text they join to and the end."""
    report, options = context.report, context.options
    payload = {
        "messages": _user(options["prompt"]),
        "max_tokens": options["max_tokens"],
        "temperature": 0,
        "stream": True,
        "model": context.served.name,
    }
    stream = _stream(context, payload)
    pieces, thoughts, reason, times, fault = _join(stream)
    text, reasoning = "".join(pieces), "".join(thoughts)
    enough = len(times) > 1 or (len(times) == 1 and tokens is not None and tokens <= _SHORT_ANSWER)
    seen = f"{len(times)} pieces of text"
    if times:
        seen += f", the first after {times[0] * 1000:.0f} ms, the last after {times[-1] * 1000:.0f} ms"
    report.add(
        "stream",
        # Of a stream that broke off, the end is to blame and not the number of pieces.
        not fault and (enough or stream.problem is not None),
        f"an error within the stream: {fault}" if fault else seen,
        "the engine's log has the cause"
        if fault
        else "the answer is not streamed piece by piece: switch off the "
        "buffering of a proxy before the server, or raise max_tokens",
    )
    if times:
        _check_text(context, "stream_text", _Reply(text, reasoning, reason, ()))
    _check_end(context, stream, reason)


def _stream(context: Context, payload: Mapping[str, Any]) -> Stream:
    """The stream from the route that answered before: the first one that exists."""
    routes = own_routes(context.endpoint, _PATH)
    for url in routes[:-1]:
        try:
            return request_events(context.endpoint, url, payload)
        except HttpError as error:
            if error.kind != "not_found":
                raise
    return request_events(context.endpoint, routes[-1], payload)


def _join(stream: Stream) -> tuple[list[str], list[str], Any, list[float], str]:
    """Pieces of text, pieces of reasoning, finish reason, times of the pieces in seconds, an error sent as an event."""
    pieces: list[str] = []
    thoughts: list[str] = []
    times: list[float] = []
    reason = None
    fault = ""
    for event in stream.events:
        if event.data == _DONE:
            continue
        try:
            chunk = json.loads(event.data)
        except ValueError:
            fault = fault or f"not JSON: {one_line(event.data, 80)}"
            continue
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        if not isinstance(choices, list):
            fault = fault or server_message(chunk) or "an event without choices"
            continue
        for choice in choices[:1]:
            delta = choice.get("delta") if isinstance(choice, dict) else None
            if not isinstance(delta, dict):
                fault = fault or "a choice without delta"
                continue
            piece, thought = _text(delta.get("content")), _reasoning(delta)
            pieces.append(piece)
            thoughts.append(thought)
            if piece or thought:
                times.append(event.seconds)
            reason = choice.get("finish_reason") or reason
    return pieces, thoughts, reason, times, fault


def _check_end(context: Context, stream: Stream, reason: Any) -> None:
    done = bool(stream.events) and stream.events[-1].data == _DONE
    detail = "finish_reason {!r}, {}".format(reason, _DONE if done else f"no {_DONE}")
    remedy = "the stream has no proper end: see the engine's log, and the time limits of a proxy before it"
    if stream.problem is not None:
        detail, remedy = f"{detail}, {stream.problem.seen}", stream.problem.remedy
    context.report.add("stream_end", done and reason in _FINISHED and stream.problem is None, detail, remedy)


def _check_sampled(context: Context) -> None:
    """Asks without a temperature, as most clients do.

    Tokens are drawn by other code then than the likeliest is taken by, often compiled at the first such request: an
    engine that lacks a compiler answers all that was asked before, and dies of this.
    """
    tokens = min(context.options["max_tokens"], _SAMPLED_TOKENS)
    reply = _reply(_ask(context, _user(context.options["prompt"]), max_tokens=tokens, temperature=None))
    context.report.add("sampled", True, f"without a temperature: {_quote(reply.text or reply.reasoning)}")


def _check_tool_call(context: Context) -> None:
    """Offers a tool and demands a parsed call of it, not its text."""
    tokens = max(context.options["max_tokens"], _STRUCTURED_TOKENS)
    try:
        answer = _ask(context, _user(_TOOL_PROMPT), max_tokens=tokens, tools=[{"type": "function", "function": _TOOL}])
    except HttpError as error:
        if error.kind not in ("bad_request", "server_error", "not_supported"):
            raise
        context.report.add("tool_call", False, error.seen, _TOOL_REMEDY)
        return
    problem = _tool_problem(_reply(answer))
    context.report.add("tool_call", not problem, problem or "{} was called".format(_TOOL["name"]), _TOOL_REMEDY)


def _tool_problem(reply: _Reply) -> str:
    if not reply.tool_calls:
        return f"no parsed tool call, but text: {_quote(reply.text or reply.reasoning)}"
    call = reply.tool_calls[0]
    function = call.get("function") if isinstance(call, dict) else None
    function = function if isinstance(function, dict) else {}
    if function.get("name") != _TOOL["name"]:
        return "a call of {!r} instead of {!r}".format(function.get("name"), _TOOL["name"])
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return f"the call's arguments are not JSON: {_quote(arguments)}"
    wrong = violations(arguments, _TOOL["parameters"])
    return "the call's arguments are wrong: {}".format(", ".join(wrong)) if wrong else ""


def _check_json(context: Context, schema: Mapping[str, Any]) -> None:
    """Asks for JSON of the given schema and validates what comes."""
    prompt = "{}\nAnswer with JSON of this schema: {}".format(context.options["prompt"], json.dumps(schema))
    tokens = max(context.options["max_tokens"], _STRUCTURED_TOKENS)
    form = {"type": "json_schema", "json_schema": {"name": "probe", "strict": True, "schema": schema}}
    reply = _reply(_ask(context, _user(prompt), max_tokens=tokens, response_format=form))
    try:
        found = violations(json.loads(reply.text), schema)
        problem = ", ".join(found)
    except ValueError:
        problem = f"not JSON (finish_reason {reply.finish_reason!r}): {_quote(reply.text)}"
    context.report.add(
        "json_schema",
        not problem,
        problem or _quote(reply.text),
        "see whether the engine supports response_format json_schema (guided decoding) for this model. If the answer "
        "is cut, raise max_tokens",
    )


def check(options: Mapping[str, Any]) -> list[str]:
    """Problems of the options beyond their types."""
    problems = []
    if options["max_tokens"] < 1:
        problems.append("max_tokens is {}: it must be at least 1".format(options["max_tokens"]))
    if not options["prompt"].strip():
        problems.append("prompt is empty: give a question")
    try:
        re.compile(options["expect"] or "")
    except re.error as error:
        problems.append("expect is {!r}, no regular expression: {}".format(options["expect"], error))
    return problems


PROBE = Probe(
    name="chat",
    capability="chat",
    options={
        "prompt": {"type": "str", "default": "What is the capital of France?"},
        # A number of tokens is no secret; no_log false says so to Ansible, which warns at "token" in a name.
        "max_tokens": {"type": "int", "default": 64, "no_log": False},
        "expect": {"type": "str"},
        "tool_call": {"type": "bool", "default": False},
        "json_schema": {"type": "dict"},
    },
    check=check,
    run=run,
)
