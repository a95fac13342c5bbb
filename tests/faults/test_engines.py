# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What test_watchdog.py and test_secrets.py prove of llama.cpp, on the other engines.

The process that computes is not the one that answers there, other numbers move, and keys come in by other ways.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from llmops_serving.lab import Lab, LabError
from tests.clients.planted import new_key, search_host
from tests.faults.bench import SERVERS, Bench, model
from tests.faults.fault_host import FaultHost
from tests.faults.runs import Site
from tests.faults.watching import NOTICED_S, evidence, look, strikes

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "watchdog"
LOOKS = 5
APART_S = 5.0
#: A hub's repository by the task of its model.
REPOS = {"chat": "lab/tiny-chat", "embedding": "sentence-transformers/all-MiniLM-L6-v2"}


@dataclass(frozen=True)
class Engine:
    """An engine that is frozen.

    Attributes:
        name: Its name.
        core: A regular expression for the command line of the process that computes; the one that answers lives on.
        task: What it does.
        words: More words of the server's entry.
    """

    name: str
    core: str
    task: str = "chat"
    words: tuple[tuple[str, Any], ...] = (("context_length", 512), ("parallel", 1))

    @property
    def long(self) -> tuple[str, dict[str, Any]]:
        """A route and a request that takes longer than the looks do."""
        if self.task == "embedding":
            return "/v1/embeddings", {"model": "model", "input": ["the river and the town " * 60] * 2000}
        body = {"prompt": ["Tell a long story about the river"] * 200, "max_tokens": 400, "ignore_eos": True}
        return "/v1/completions", {"model": "model", **body}


ENGINES = [
    Engine("vllm", "^VLLM::EngineCore"),
    Engine("sglang", "^sglang::scheduler"),
    Engine("aphrodite", "^APHRODITE::EngineCore|^VLLM::EngineCore"),
    Engine("infinity", "^/[^ ]*python[^ ]* [^ ]*infinity_emb", "embedding", ()),
]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Boot a host for all of them, one after the other."""
    lab = Lab()
    with contextlib.suppress(LabError):
        lab.destroy_host(HOST)
    lab.create_host(HOST, engines=[engine.name for engine in ENGINES])
    bench = Bench(FaultHost(HOST), Site(HOST, tmp_path_factory.mktemp("runs")))
    yield bench
    bench.site.end()
    lab.destroy_host(HOST)


@dataclass(frozen=True)
class Served:
    """A server of an engine, and its key."""

    host: FaultHost
    engine: Engine
    key: str


@pytest.fixture(scope="module", params=ENGINES, ids=lambda engine: engine.name)
def served(request: pytest.FixtureRequest, host: Bench) -> Served:
    """Let the server be of one engine."""
    engine: Engine = request.param
    found = {**model(REPOS[engine.task], ""), "task": engine.task}
    del found["file"]
    key = new_key()
    entry = {"name": "chat", "engine": engine.name, "model": "model", "port": 8001, "api_key": [key]}
    entry |= dict(engine.words)
    host.site.apply({"serving_models": {"model": found}, "serving_servers": [entry]}).went_well()
    host.host.wait_until_served().must_serve()
    return Served(host.host, engine, key)


def test_a_long_request_is_left_alone_and_a_frozen_core_is_started_anew(served: Served) -> None:
    host, engine = served.host, served.engine
    before = host.look().container
    look(host)

    path, body = engine.long
    host.write("/root/question.json", json.dumps(body))
    host.write("/root/header", f"Authorization: Bearer {served.key}\n", "0600")
    ask = f"curl --silent --header @/root/header --json @/root/question.json http://127.0.0.1:8001{path}"
    host.start(f"{ask} > /root/answer.json; touch /root/answered")
    time.sleep(APART_S)
    for _ in range(LOOKS):
        answer = host.run("test -e /root/answered && head -c 300 /root/answer.json", check=False)
        assert not answer, f"it had nothing to do, so nothing was proven: {answer}"
        look(host)
        assert strikes(host) == []
        time.sleep(APART_S)
    host.run("pkill -x curl", check=False)
    assert host.look().container == before, "it was started anew while it worked"

    (core,) = host.run(f"pgrep -f '{engine.core}'").split()
    host.run(f"kill -STOP {core}")
    # By its timer alone.
    host.wait_for("a new start of the server", lambda: host.look().container not in ("", before), NOTICED_S)
    state = host.wait_until_served().must_serve()
    assert state.container != before
    (kept,) = evidence(host)
    record = json.loads(host.run(f"cat {SERVERS}/chat/evidence/{kept}"))
    assert len(record["strikes"]) == 3
    assert "T" in {process["state"] for process in record["processes"]}
    host.run("rm /root/header /root/answered /root/answer.json")


def test_its_key_lies_in_its_own_files_alone(served: Served) -> None:
    found = search_host(lambda command, data: served.host.run(command, data=data), [served.key])
    assert found.seen == []
    assert found.own
    assert found.looked["containers"] == 1
    # The next engine's evidence shall be its own.
    served.host.run(f"rm -rf {SERVERS}/chat/evidence")
