# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chat probe: for every check an engine that fails it alone, and what real engines said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint
from ansible_collections.llmops.serving.plugins.module_utils._probe_chat import (
    garbage_share,
    repeated_unit,
    text_problem,
)
from ansible_collections.llmops.serving.plugins.module_utils._probes import run_probe
from tests.unit.plugins.fake_engine import (
    TOOL_CALL,
    ChatParts,
    FakeEngine,
    Reply,
    as_events,
    as_json,
    chunks,
    completion,
    models,
    recorded,
)

SCHEMA = {"type": "object", "properties": {"capital": {"type": "string"}}, "required": ["capital"]}
ALL = {"expect": "Paris", "tool_call": True, "json_schema": SCHEMA}
EVERY_CHECK = [
    "models", "answer", "text", "finish_reason", "usage", "model", "expect", "system_role",
    "stream", "stream_text", "stream_end", "sampled", "tool_call", "json_schema",
]  # fmt: skip


def probe(parts: ChatParts, options: dict[str, Any] | None = None, timeout: float = 5.0) -> dict[str, Any]:
    with parts.engine() as engine:
        return run_probe("chat", Endpoint(engine.url, timeout=timeout), options)


def failed(result: dict[str, Any]) -> list[str]:
    return [check["name"] for check in result["checks"] if not check["ok"]]


def detail(result: dict[str, Any], name: str) -> str:
    return str(next(check["detail"] for check in result["checks"] if check["name"] == name))


def test_a_good_server_passes_every_check() -> None:
    result = probe(ChatParts(), ALL)
    assert result["ok"], result["msg"]
    assert [check["name"] for check in result["checks"]] == EVERY_CHECK
    assert result["sample"] == "The capital of France is Paris."
    assert result["model"] == "tiny"
    assert result["raw"] == completion()
    assert result["latency_ms"] > 0
    assert detail(result, "tool_call") == "get_weather was called"
    assert detail(result, "json_schema") == """'{"capital": "Paris"}'"""
    assert result["msg"].startswith("chat: 14 checks passed in ")


def test_optional_checks_are_left_out_unless_asked() -> None:
    names = [check["name"] for check in probe(ChatParts())["checks"]]
    assert names == [name for name in EVERY_CHECK if name not in ("expect", "tool_call", "json_schema")]


GOOD = ChatParts()
PIECES = ("The capital of", " France is", " Paris.")
TOOL_TEXT = as_json(completion('<tool_call>{"name": "get_weather"}</tool_call>'))


def call(**function: Any) -> Reply:
    return as_json(completion(None, tool_calls=[{**TOOL_CALL, "function": {**TOOL_CALL["function"], **function}}]))  # type: ignore[dict-item]  # TOOL_CALL is plain JSON


def plain(*args: Any, **kwargs: Any) -> ChatParts:
    return replace(GOOD, plain=as_json(completion(*args, **kwargs)))


def streamed(*pieces: str, done: bool = True, cut: bool = False, **kwargs: Any) -> ChatParts:
    return replace(GOOD, stream=as_events(chunks(*pieces, **kwargs), done=done, cut=cut))


# One wrong thing at a time: the check that must fail, alone, and the words that must name it.
WRONG = [
    ("models", replace(GOOD, models=models()), {}, "served: none"),
    ("models", replace(GOOD, models=models("other")), {"model": "tiny"}, "asked 'tiny', served: other; set model"),
    ("models", replace(GOOD, models=as_json({"object": "list"})), {}, "no list of models"),
    ("models", replace(GOOD, models=as_json({"error": "no"}, 401)), {}, "HTTP 401 (no); the server wants another"),
    ("answer", replace(GOOD, plain=as_json({"choices": []})), {}, "the answer has no choices[0].message"),
    ("answer", replace(GOOD, plain=as_json([1])), {}, "the answer has no choices[0].message"),
    ("answer", replace(GOOD, plain=as_json({"choices": [{"message": None}]})), {}, "no choices[0].message"),
    ("answer", replace(GOOD, plain=recorded("vllm", "loading_v1_chat_completions_1.json")), {}, "EngineCore"),
    ("answer", replace(GOOD, plain=Reply(reset="start")), {}, "connection closed"),
    ("text", plain(""), {}, "the answer is empty; the model computes nonsense"),
    ("text", plain(None), {}, "the answer is empty"),
    ("text", plain("\n\n\n\n"), {}, "white space only"),
    ("text", plain("!!!!!!!!!!!!"), {}, "no letter or digit"),
    ("text", plain("ParisParisParisParisParis"), {}, "one token repeated: 'Paris'"),
    ("text", plain("The capital the the the the the the the the the the the the the the"), {}, "one token repeated"),
    ("text", plain("\ufffdD\ufffd>", reason="length"), {}, "unprintable garbage"),
    ("text", plain("", reasoning_content="The user asks for a city."), {}, "no answer followed; choose the engine's"),
    ("text", plain("", reasoning_content="\ufffd" * 9), {}, "unprintable garbage"),
    ("text", plain("\ufffd" * 9, reasoning_content="The user asks for a city."), {}, "unprintable garbage"),
    ("expect", plain(reasoning="The user asks"), {"expect": "Rome"}, "correct the option"),
    ("finish_reason", plain(reason=None), {}, "None; generation did not end"),
    ("finish_reason", plain(reason="abort"), {}, "'abort'"),
    ("usage", plain(usage=None), {}, "prompt -1"),
    ("usage", plain(usage={"prompt_tokens": 0, "completion_tokens": 8, "total_tokens": 8}), {}, "prompt 0"),
    ("usage", plain(usage={"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}), {}, "completion 0"),
    ("usage", plain(usage={"prompt_tokens": 5, "completion_tokens": 8, "total_tokens": 14}), {}, "total 14"),
    ("usage", plain(usage={"prompt_tokens": 5, "completion_tokens": 65, "total_tokens": 70}), {}, "max_tokens 64"),
    ("usage", plain(usage={"prompt_tokens": True, "completion_tokens": 7, "total_tokens": 8}), {}, "prompt -1"),
    ("model", plain(model="other"), {}, "asked 'tiny', answered 'other'"),
    ("model", plain(model=""), {}, "answered ''"),
    ("expect", GOOD, {"expect": "Rome"}, "'Rome' not found in 'The capital of France is Paris.'; correct the option"),
    ("expect", plain("", reason="length", reasoning="The user asks"), {"expect": "Paris"}, "raise max_tokens"),
    ("stream", streamed("".join(PIECES)), {}, "1 pieces of text"),
    ("stream", replace(GOOD, stream=as_json(completion())), {}, "a stream was asked, application/json came"),
    ("stream", replace(GOOD, stream=as_events([*chunks(*PIECES), {"error": {"message": "out of memory"}}])), {},
     "an error within the stream: out of memory"),
    ("stream", replace(GOOD, stream=as_events([*chunks(*PIECES), 7])), {}, "an event without choices"),
    ("stream", replace(GOOD, stream=as_events([*chunks(*PIECES), {"choices": [{"finish_reason": None}]}])), {},
     "a choice without delta"),
    ("stream_text", streamed("a", "a", "a", "a", "a", "a"), {}, "one token repeated: 'a'"),
    ("stream_text", streamed(" ", "\n"), {}, "white space only"),
    ("stream_end", streamed(*PIECES, done=False), {}, "no [DONE]; the stream has no proper end"),
    ("stream_end", streamed(*PIECES, reason=None), {}, "finish_reason None, [DONE]"),
    ("stream_end", streamed(*PIECES, done=False, cut=True), {}, "was complete; the server closed the connection"),
    ("stream_end", replace(GOOD, stream=as_events(chunks(*PIECES)[:2], done=False, cut=True)), {}, "was complete; the"),
    ("sampled", replace(GOOD, sampled=as_json({"error": {"message": "EngineCore encountered an issue"}}, 500)), {},
     "HTTP 500 (EngineCore encountered an issue)"),
    ("sampled", replace(GOOD, sampled=as_json({"choices": []})), {}, "the answer has no choices[0].message"),
    ("tool_call", replace(GOOD, tool=TOOL_TEXT), {"tool_call": True}, "no parsed tool call, but text: '<tool_call>"),
    ("tool_call", replace(GOOD, tool=call(name="other")), {"tool_call": True}, "a call of 'other'"),
    ("tool_call", replace(GOOD, tool=call(arguments="{")), {"tool_call": True}, "arguments are not JSON"),
    ("tool_call", replace(GOOD, tool=call(arguments='{"town": "Paris"}')), {"tool_call": True}, "$.city is missing"),
    ("tool_call", replace(GOOD, tool=as_json(completion(None, tool_calls=["x"]))), {"tool_call": True}, "call of None"),
    ("tool_call", replace(GOOD, tool=as_json({"error": {"message": "tools param requires --jinja"}}, 500)),
     {"tool_call": True}, "requires --jinja); give the engine a tool call parser"),
    ("tool_call", replace(GOOD, tool=as_json({}, 401)), {"tool_call": True}, "wants another API key"),
    ("json_schema", replace(GOOD, structured=as_json(completion("Paris"))), {"json_schema": SCHEMA}, "not JSON"),
    ("json_schema", replace(GOOD, structured=as_json(completion('{"capital": 1}'))), {"json_schema": SCHEMA},
     "$.capital is number instead of string"),
    ("json_schema", replace(GOOD, structured=recorded("vllm", "chat_json_schema.json")), {"json_schema": SCHEMA},
     "not JSON (finish_reason 'length')"),
    ("json_schema", replace(GOOD, structured=as_json({"detail": "unknown field"}, 400)), {"json_schema": SCHEMA},
     "HTTP 400 (unknown field)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parts", "options", "words"), WRONG)
def test_one_wrong_thing_fails_its_check_alone(
    name: str, parts: ChatParts, options: dict[str, Any], words: str
) -> None:
    result = probe(parts, options)
    assert not result["ok"]
    assert failed(result) == [name]
    assert words in detail(result, name)
    assert result["msg"] == f"{name}: {detail(result, name)}"


FINE = [
    (plain("4"), {}),
    (replace(GOOD, sampled=as_json(completion(""))), {}),
    (plain([{"type": "text", "text": "Paris"}]), {"expect": "^Paris$"}),
    (plain("Париж \U0001f5fc 東京\ufffd", reason="length"), {}),
    (plain("x", reason="eos_token"), {}),
    (plain(reasoning_content="\ufffd" * 9), {"expect": "Paris"}),
    (plain(usage={"prompt_tokens": 1, "completion_tokens": 64, "total_tokens": 65}), {}),
    (plain(usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}), {}),
    (plain(None, reason="length", reasoning_content="The user asks for a city."), {}),
    (plain(None, reason="length", reasoning="The user asks for a city."), {}),
    (streamed("The user", " asks", name="reasoning_content", reason="length"), {}),
    (streamed("The user", " asks", name="reasoning", reason="length"), {}),
    (replace(GOOD, tool=call(arguments={"city": "Paris"})), {"tool_call": True}),
    (replace(GOOD, models=models("a", "tiny")), {"model": "tiny"}),
    (replace(GOOD, models=recorded("llama-cpp", "ready_v1_models.json")), {}),
    (replace(GOOD, models=recorded("vllm", "ready_v1_models.json")), {}),
    (replace(GOOD, models=recorded("sglang", "ready_v1_models.json")), {}),
    (replace(GOOD, models=recorded("aphrodite", "ready_v1_models.json")), {}),
]


@pytest.mark.parametrize(("parts", "options"), FINE)
def test_what_is_unusual_but_right_passes(parts: ChatParts, options: dict[str, Any]) -> None:
    result = probe(parts, options)
    assert result["ok"], result["msg"]


def test_an_answer_of_one_token_may_come_in_one_piece() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    parts = replace(streamed("Paris"), plain=as_json(completion("Paris", usage=usage)))
    assert probe(parts)["ok"]


def test_an_event_that_is_not_json_fails_the_stream_and_the_first_fault_is_told() -> None:
    good = as_events(chunks(*PIECES)).chunks or ()
    for first, second in ((b"data: {oops\n\n", b"data: 7\n\n"), (b"data: {oops\n\n", b"data: {later\n\n")):
        stream = Reply(kind="text/event-stream", chunks=(good[0], first, second, *good[1:]))
        result = probe(replace(GOOD, stream=stream))
        assert failed(result) == ["stream"]
        assert "an error within the stream: not JSON: {oops; the engine's log has the cause" in result["msg"]


def test_a_later_event_without_finish_reason_does_not_undo_it() -> None:
    late = {"choices": [{"index": 0, "delta": {}, "finish_reason": None}]}
    result = probe(replace(GOOD, stream=as_events([*chunks(*PIECES), late])))
    assert result["ok"], result["msg"]


def test_a_stream_without_any_text_fails() -> None:
    result = probe(streamed())
    assert failed(result) == ["stream"]
    assert "0 pieces of text" in result["msg"]


def test_an_empty_stream_fails() -> None:
    result = probe(replace(GOOD, stream=Reply(kind="text/event-stream", chunks=())))
    assert failed(result) == ["stream", "stream_end"]
    assert result["msg"].endswith("(also failed: stream_end)")


def test_a_stream_that_hangs_is_named() -> None:
    reply = as_events(chunks(*PIECES))
    parts = replace(GOOD, stream=Reply(kind=reply.kind, chunks=reply.chunks, drip=0.2))
    result = probe(parts, timeout=0.7)
    assert failed(result) == ["stream_end"]
    assert "no complete answer within 0.7 s; see in the server's log" in result["msg"]


def test_time_to_the_first_text_is_told() -> None:
    reply = as_events(chunks(*PIECES))
    result = probe(replace(GOOD, stream=Reply(kind=reply.kind, chunks=reply.chunks, drip=0.05)))
    words = detail(result, "stream").split()
    assert int(words[words.index("first") + 2]) >= 50
    assert int(words[words.index("last") + 2]) >= 150


SYSTEM = [
    (as_json(completion("x", prompt=31)), "supported: it adds 11 prompt tokens"),
    (as_json(completion("x", prompt=20)), "accepted, but it adds no prompt tokens"),
    (as_json({"error": {"message": "System role not supported"}}, 400), "not supported: "),
    (as_json({"error": {"message": "System role not supported"}}, 400), "(System role not supported)"),
    (as_json({"choices": []}), "not supported: "),
]


@pytest.mark.parametrize(("reply", "words"), SYSTEM)
def test_the_system_role_is_told_but_never_failed(reply: Reply, words: str) -> None:
    result = probe(replace(GOOD, system=reply))
    assert result["ok"], result["msg"]
    assert words in detail(result, "system_role")


@pytest.mark.parametrize(("before", "after"), [("right", None), (None, "right")])
def test_without_counts_the_system_role_is_only_accepted(before: Any, after: Any) -> None:
    plain_reply, system_reply = as_json(completion(usage=before)), as_json(completion("x", prompt=31, usage=after))
    assert detail(probe(replace(GOOD, plain=plain_reply, system=system_reply)), "system_role") == "accepted"


def test_reasoning_is_the_sample_where_nothing_else_came() -> None:
    assert probe(plain(None, reason="length", reasoning="The user asks"))["sample"] == "The user asks"


@pytest.mark.parametrize(
    ("usage", "pieces", "names"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, (), ["stream"]),
        ({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}, ("Paris",), ["stream"]),
        (None, ("Paris",), ["usage", "stream"]),
    ],
)
def test_one_piece_is_not_enough_for_a_longer_or_uncounted_answer(
    usage: Any, pieces: tuple[str, ...], names: list[str]
) -> None:
    assert failed(probe(replace(streamed(*pieces), plain=as_json(completion("Paris", usage=usage))))) == names


def test_requests_say_what_they_must() -> None:
    with ChatParts().engine() as engine:
        run_probe("chat", Endpoint(engine.url), {**ALL, "prompt": "Hm?", "max_tokens": 5})
        bodies = [request.json for request in engine.requests if request.method == "POST"]
    assert [body["model"] for body in bodies] == ["tiny"] * 6
    assert [body.get("temperature") for body in bodies] == [0, 0, 0, None, 0, 0]
    assert "temperature" not in bodies[3]
    assert [body["max_tokens"] for body in bodies] == [5, 1, 5, 5, 256, 256]
    assert [body["messages"][-1]["content"] for body in bodies[:4]] == ["Hm?"] * 4
    assert bodies[4]["tools"][0]["function"]["name"] == "get_weather"
    assert bodies[5]["response_format"]["json_schema"]["schema"] == SCHEMA


def test_base_without_v1_finds_every_route() -> None:
    with ChatParts().engine() as engine:
        assert run_probe("chat", Endpoint(engine.root), ALL)["ok"]
        assert run_probe("chat", Endpoint(engine.root + "/"), ALL)["ok"]


def test_base_with_v1_is_taken_at_its_word() -> None:
    routes = {name.replace("/v1", ""): route for name, route in ChatParts().engine().routes.items()}
    with FakeEngine(routes) as engine:
        result = run_probe("chat", Endpoint(engine.url))
    assert failed(result) == ["models"]
    assert "/v1/models" in result["msg"]


# What five real engines said for a model with random weights: the form is right, the words are none.
RECORDED = [
    ("aphrodite", "chat.json", ["text"]),
    ("llama-cpp", "chat.json", ["text"]),
    ("sglang", "chat.json", ["text"]),
    ("vllm", "chat.json", ["text"]),
    ("llama-cpp", "err_wrong_model.json", []),
    ("sglang", "err_wrong_model.json", ["model"]),
    ("vllm", "err_wrong_model.json", ["answer"]),
    ("aphrodite", "err_too_long.json", ["answer"]),
]


@pytest.mark.parametrize(("engine", "file", "names"), RECORDED)
def test_recorded_answers(engine: str, file: str, names: list[str]) -> None:
    assert failed(probe(replace(GOOD, plain=recorded(engine, file)))) == names


@pytest.mark.parametrize(
    ("engine", "file", "names"),
    [
        ("aphrodite", "chat_stream.txt", ["stream_text"]),
        ("aphrodite", "chat_stream_usage.txt", ["stream", "stream_text"]),
        ("llama-cpp", "chat_stream.txt", ["stream_text"]),
        ("llama-cpp", "chat_stream_usage.txt", ["stream_text"]),
        ("sglang", "chat_stream.txt", ["stream_text"]),
        ("vllm", "chat_stream.txt", ["stream_text"]),
        ("vllm", "chat_stream_usage.txt", ["stream_text"]),
    ],
)
def test_recorded_streams(engine: str, file: str, names: list[str]) -> None:
    assert failed(probe(replace(GOOD, stream=recorded(engine, file)))) == names


REPEATED = [
    ("!!!!", "!"),
    ("x" + "ab" * 8, "ab"),
    ("x" + "ab" * 7, None),
    ("abcdefghijklmnopqrstuvwxyz012345" * 4, "abcdefghijklmnopqrstuvwxyz012345"),
    ("abcdefghijklmnopqrstuvwxyz0123456" * 4, None),
    ("aaaa", "a"),
    ("no no no no", "no"),
    ("no no no no n", "no"),
    ("ab\nab\nab\nab", "ab"),
    ("The!!!!!!!!!!!!!!!!!!!!", "!"),
    ("Paris is is is is is is is is is is is", "is"),
    ("aaa", None),
    ("no no no", None),
    ("Paris.", None),
    ("10000", None),
    ("The capital of France is Paris.", None),
    ("Paris, Paris! The capital is Paris.", None),
    ("x" * 5000, "x"),
    ("abcdefghijklmnopqrstuvwxyz0123456789 " * 4, None),
    ("", None),
]


@pytest.mark.parametrize(("text", "unit"), REPEATED)
def test_repeated_unit(text: str, unit: str | None) -> None:
    assert repeated_unit(text) == unit


GARBAGE = [
    ("Paris", False, 0.0),
    ("Paris\ufffd", True, 0.0),
    ("Paris\ufffd", False, 1 / 6),
    ("\ufffd" * 8, True, 1.0),
    ("Paris" + "\ufffd" * 3, True, 0.0),
    ("Paris" + "\ufffd" * 4, True, 4 / 9),
    ("a\x00\x01\ue000", False, 0.75),
    ("tab\tline\r\n", False, 0.0),
    ("👩‍🚀 東京 Ελλάδα", False, 0.0),
    ("", False, 1.0),
]


@pytest.mark.parametrize(("text", "cut", "share"), GARBAGE)
def test_garbage_share(text: str, cut: bool, share: float) -> None:
    assert garbage_share(text, cut) == pytest.approx(share)


def test_one_stray_character_in_a_good_answer_is_no_garbage() -> None:
    assert text_problem("The capital of France is\ufffd Paris.", cut=False) is None
