# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server is asked whether it is well: a real HTTP server, whose processes are played."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _watch_ask
from ansible_collections.llmops.serving.plugins.module_utils._watch_ask import QUESTION_EVERY_S, Ask
from ansible_collections.llmops.serving.plugins.module_utils._watch_notes import Notes
from tests.unit.plugins.fake_engine import FakeEngine, Reply, Request, as_json
from tests.unit.plugins.played_host import port_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = {"metrics": "/metrics", "port": 8080, "running": ["running"], "waiting": ["waiting"], "progress": ["steps"]}
QUESTION = "POST /v1/chat/completions"
NEVER = Reply(delay=2)
LATE = 10 * QUESTION_EVERY_S


class Played:
    """An engine: what its metrics say, how it answers, and whether its processes compute."""

    def __init__(self, server: FakeEngine) -> None:
        self.server = server
        self.metrics: list[tuple[float, float] | Reply] = [(0, 5)]
        self.computes: bool | None = False
        #: the ports by which processes were chosen
        self.looked: list[int | None] = []
        self.notes = Notes(ready=True, progress={"steps": 5.0})
        server.routes = {"GET /metrics": self._metrics, QUESTION: as_json({"choices": []})}

    def _metrics(self, _: Request) -> Reply:
        said = self.metrics.pop(0) if len(self.metrics) > 1 else self.metrics[0]
        return said if isinstance(said, Reply) else Reply(f"running {said[0]}\nsteps {said[1]}\n".encode())

    def look(self, _: str, port: int | None = None) -> bool | None:
        self.looked.append(port)
        return self.computes

    def wrong(self, moment: float = LATE, key: str | None = None, **words: t.Any) -> str:
        models = [{"name": "tiny", "task": "chat", "path": "/m"}]
        asked = {
            "bind": "127.0.0.1",
            "port": port_of(self.server),
            "models": words.pop("models", models),
            "watchdog": {**WORDS, **words},
        }
        return Ask("chat", asked, key).wrong(self.notes, moment)

    @property
    def questions(self) -> list[t.Any]:
        return [request.json for request in self.server.requests if request.method == "POST"]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    monkeypatch.setattr(_watch_ask, "_METRICS_S", 0.3)
    monkeypatch.setattr(_watch_ask, "_ANSWER_S", 0.3)
    with FakeEngine() as server:
        played = Played(server)
        monkeypatch.setattr(_watch_ask, "computes", played.look)
        yield played


def test_one_that_gets_on_is_asked_nothing(engine: Played) -> None:
    engine.metrics = [(3, 6)]
    assert engine.wrong() == ""
    assert engine.notes.progress == {"steps": 6}
    assert (engine.questions, engine.looked) == ([], [])


def test_a_long_step_is_no_fault(engine: Played) -> None:
    engine.metrics, engine.computes = [(3, 5)], True
    assert engine.wrong() == ""
    assert (engine.questions, engine.looked) == ([], [None])


def test_requests_that_nobody_works_on(engine: Played) -> None:
    engine.metrics = [(3, 5)]
    assert engine.wrong() == "it has 3 requests, gets on with none of them, and computes nothing"


def test_what_cannot_be_seen_is_no_fault(engine: Played) -> None:
    engine.metrics, engine.computes = [(3, 5)], None
    assert engine.wrong() == ""


@pytest.mark.parametrize(("computes", "wrong"), [(True, False), (False, True), (None, False)])
def test_metrics_without_an_answer(engine: Played, computes: bool | None, wrong: bool) -> None:
    engine.metrics, engine.computes = [NEVER], computes
    said = engine.wrong()
    assert bool(said) is wrong
    assert ("no complete answer" in said and "computes nothing" in said) is wrong
    # Who does not answer must be busy itself.
    assert engine.looked == [8080]


def test_one_that_has_nothing_to_do_is_asked_for_one_token(engine: Played) -> None:
    assert engine.wrong(key="k") == ""
    assert engine.questions == [{"model": "tiny", "messages": [{"role": "user", "content": "1"}], "max_tokens": 1}]
    assert {request.headers.get("Authorization") for request in engine.server.requests} == {"Bearer k"}
    # And not soon again.
    assert engine.wrong(LATE + QUESTION_EVERY_S - 1) == ""
    assert len(engine.questions) == 1
    assert engine.wrong(LATE + QUESTION_EVERY_S) == ""
    assert len(engine.questions) == 2


def test_who_has_just_answered_others_is_not_asked(engine: Played) -> None:
    engine.metrics = [(0, 9)]
    assert engine.wrong() == ""
    assert engine.questions == []


def test_a_doubt_ends_with_an_answer_alone(engine: Played) -> None:
    engine.metrics = [(0, 9)]
    engine.notes.strike("no answer")
    engine.server.routes[QUESTION] = as_json({}, 500)
    assert "HTTP 500" in engine.wrong(1)
    assert len(engine.questions) == 1


@pytest.mark.parametrize(
    ("reply", "wrong"),
    [
        (as_json({"error": "x"}, 400), ""),
        (as_json({"error": "x"}, 401), ""),
        (as_json({"error": "x"}, 429), ""),
        (as_json({"error": "x"}, 503), ""),
        (Reply(b"no JSON"), ""),
        (as_json({"error": "it broke"}, 500), "HTTP 500 (it broke)"),
        (NEVER, "no complete answer within 0.3 s, and it has nothing else to do"),
        (Reply(reset="start"), "and it has nothing else to do"),
    ],
)
def test_answers_to_the_question(engine: Played, reply: Reply, wrong: str) -> None:
    engine.server.routes[QUESTION] = reply
    said = engine.wrong()
    assert wrong in said
    assert bool(said) is bool(wrong)


# What is seen before and after the question, whether it computes, whether it spins; and whether it is busy.
BUSY = {
    "others came in": ([(0, 5), (2, 5)], False, False, True),
    "it got on": ([(0, 5), (1, 6)], False, False, True),
    "it computes": ([(0, 5), (1, 5)], True, False, True),
    "it spins, which says nothing": ([(0, 5), (1, 5)], True, True, False),
    "nothing happened": ([(0, 5), (0, 5)], False, False, False),
    "its metrics do not answer and it computes": ([(0, 5), NEVER], True, True, True),
    "its metrics do not answer and it computes nothing": ([(0, 5), NEVER], False, True, False),
}


@pytest.mark.parametrize("case", BUSY)
def test_a_question_that_has_to_wait(engine: Played, case: str) -> None:
    engine.metrics, engine.computes, spins, busy = BUSY[case]
    engine.server.routes[QUESTION] = NEVER
    assert bool(engine.wrong(spins=spins)) is not busy


@pytest.mark.parametrize("status", [401, 404, 501])
def test_without_metrics_questions_must_do(engine: Played, status: int) -> None:
    engine.metrics, engine.notes.progress = [as_json({}, status)], {}
    assert engine.wrong() == ""
    assert len(engine.questions) == 1


def test_an_engine_that_has_no_metrics_is_not_asked_for_them(engine: Played) -> None:
    engine.notes.progress = {}
    assert engine.wrong(metrics=None) == ""
    assert [request.path for request in engine.server.requests] == ["/v1/chat/completions"]


def test_all_its_models_come_in_turn(engine: Played) -> None:
    models = [{"name": name, "task": "embedding", "path": "/m"} for name in ("a", "b")]
    engine.server.routes["POST /v1/embeddings"] = as_json({"data": []})
    for turn in range(3):
        assert engine.wrong((turn + 10) * QUESTION_EVERY_S, models=models) == ""
    assert [question["model"] for question in engine.questions] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("task", "route", "sent"),
    [
        ("rerank", "POST /rerank", {"query": "1", "texts": ["1"]}),
        ("rerank", "POST /v1/rerank", {"query": "1", "documents": ["1"]}),
        ("classify", "POST /classify", {"input": ["1"]}),
        ("classify", "POST /predict", {"inputs": [["1"]]}),
    ],
)
def test_each_engine_is_asked_in_its_own_form(engine: Played, task: str, route: str, sent: dict[str, t.Any]) -> None:
    def answer(request: Request) -> Reply:
        return as_json([]) if set(sent) <= set(request.json) else as_json({"error": "texts is missing"}, 422)

    engine.server.routes = {"GET /metrics": Reply(b"steps 5\n"), route: answer}
    assert engine.wrong(models=[{"name": "m", "task": task, "path": "/m"}]) == ""
    assert engine.questions[-1] == {**sent, "model": "m"}
