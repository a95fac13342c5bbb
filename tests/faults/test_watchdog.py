# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watchdog on a real host: it starts anew what hangs, and never what works, loads or was stopped."""

from __future__ import annotations

import json
import shlex
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.bench import SERVERS
from tests.faults.watching import NOTICED_S, evidence, look, strikes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.bench import Bench
    from tests.faults.fault_host import FaultHost
    from tests.faults.state import State

CHANGE = f"{SERVERS}/chat/change.json"
RECORD = f"{SERVERS}/chat/current/server.json"
#: More looks than it takes strikes.
LOOKS = 5
APART_S = 5.0
#: Many prompts in one request, for longer than the looks take.
LONG = {"prompt": ["Tell a long story about the river"] * 4000, "n_predict": 400, "ignore_eos": True}
COMPLETION = "http://127.0.0.1:8001/completion"
SHORT = {"prompt": "Tell a story", "n_predict": 200, "ignore_eos": True}
CLIENTS = 16
#: Takes from the watchdog the numbers that move, so that only the CPU time tells a busy engine from a frozen one.
BLIND = """
import json, os, sys
path, progress = sys.argv[1], json.loads(sys.argv[2])
with open(path) as file:
    record = json.load(file)
print(json.dumps(record["asked"]["watchdog"]["progress"]))
record["asked"]["watchdog"]["progress"] = progress
with open(path + ".new", "w") as file:
    json.dump(record, file)
os.replace(path + ".new", path)
"""


def engine(host: FaultHost) -> str:
    """The engine's process; the container's first one is Docker's own init."""
    return host.run("pgrep -P $(docker inspect --format '{{.State.Pid}}' llmops-chat)").strip()


def curl(bench: Bench) -> str:
    """The beginning of a command that asks with the key, which no command line shows."""
    bench.host.write("/root/header", f"Authorization: Bearer {bench.key}\n", "0600")
    return "curl --silent --header @/root/header"


def requests_at_work(bench: Bench) -> float:
    """How many requests the engine has, by its own metrics."""
    said = bench.host.run(f"{curl(bench)} --max-time 20 http://127.0.0.1:8001/metrics", check=False)
    values = dict(line.rsplit(" ", 1) for line in said.splitlines() if not line.startswith("#"))
    return sum(float(values.get(f"llamacpp:requests_{word}", 0)) for word in ("processing", "deferred"))


def ask(bench: Bench, body: dict[str, Any]) -> None:
    """Ask without waiting for the answer."""
    bench.host.write("/root/question.json", json.dumps(body))
    bench.host.start(f"{curl(bench)} --data @/root/question.json {COMPLETION} > /dev/null")


@pytest.fixture
def load(bench: Bench) -> Iterator[None]:
    """Leave no request behind."""
    yield
    bench.host.run("pkill -x curl", check=False)
    bench.host.wait_until_served()


def left_alone(bench: Bench, before: State) -> None:
    """Look more often than it takes strikes, while the engine has requests, and see that nothing happens."""
    kept = evidence(bench.host)
    for _ in range(LOOKS):
        assert requests_at_work(bench), "it had nothing to do, so nothing was proven"
        look(bench.host)
        assert strikes(bench.host) == []
        time.sleep(APART_S)
    assert bench.host.look().container == before.container, "it was started anew"
    assert evidence(bench.host) == kept


def test_a_frozen_engine_is_started_anew_and_the_evidence_is_kept(bench: Bench) -> None:
    host = bench.host
    before, kept = host.look(), evidence(host)
    # It has been seen well since its start.
    look(host)
    frozen = engine(host)
    host.run(f"kill -STOP {frozen}")
    # By its timer alone.
    host.wait_for("a new start of the server", lambda: host.look().container not in ("", before.container), NOTICED_S)
    host.wait_until_served().must_serve()
    found = [name for name in evidence(host) if name not in kept]
    assert len(found) == 1
    path = f"{SERVERS}/chat/evidence/{found[0]}"
    assert host.run(f"stat --format '%a %U' {path}").strip() == "600 root"
    record = json.loads(host.run(f"cat {path}"))
    assert len(record["strikes"]) == 3
    assert "no complete answer" in record["seen"]
    states = {process["name"]: process["state"] for process in record["processes"]}
    assert states["llama-server"] == "T"
    assert record["evidence"]["unit"]["active"] == "active"
    assert "it is started anew" in host.run("journalctl --unit llmops-watchdog.service --output cat --no-pager")
    bench.changes_nothing(bench.variables())


@pytest.mark.usefixtures("load")
def test_a_long_request_is_left_alone(bench: Bench) -> None:
    before = bench.host.look()
    ask(bench, LONG)
    bench.host.wait_for("requests", lambda: requests_at_work(bench))
    left_alone(bench, before)


@pytest.mark.usefixtures("load")
def test_an_engine_that_computes_without_a_step_is_left_alone(bench: Bench) -> None:
    before = bench.host.look()
    progress = bench.host.run(f"python3 - {RECORD} '[]'", data=BLIND)
    try:
        ask(bench, LONG)
        bench.host.wait_for("requests", lambda: requests_at_work(bench))
        left_alone(bench, before)
    finally:
        bench.host.run(f"python3 - {RECORD} {shlex.quote(progress.strip())}", data=BLIND)


@pytest.mark.usefixtures("load")
def test_heavy_load_is_left_alone(bench: Bench) -> None:
    before = bench.host.look()
    bench.host.write("/root/short.json", json.dumps(SHORT))
    once = f"{curl(bench)} --data @/root/short.json {COMPLETION} > /dev/null"
    for _ in range(CLIENTS):
        bench.host.start(f"exec -a client bash -c {shlex.quote(f'while {once}; do :; done')}")
    try:
        bench.host.wait_for("requests", lambda: requests_at_work(bench) > 1)
        left_alone(bench, before)
    finally:
        bench.host.run("pkill -f '^client'", check=False)


def test_an_engine_that_loads_is_left_alone(bench: Bench) -> None:
    host = bench.host
    kept = evidence(host)
    loading = host.freeze("^/app/llama-server ")
    host.run("systemctl restart llmops-chat.service")
    loading.wait()
    container = host.look().container
    for _ in range(LOOKS):
        look(host)
        assert strikes(host) == []
    assert host.look().container == container
    loading.thaw()
    assert host.wait_until_served().must_serve().container == container
    assert evidence(host) == kept


def test_what_was_stopped_stays_stopped(bench: Bench) -> None:
    host = bench.host
    host.run("systemctl stop llmops-chat.service")
    for _ in range(LOOKS):
        look(host)
    assert host.look().active in ("inactive", "failed")
    host.run("systemctl start llmops-chat.service")
    host.wait_until_served().must_serve()


def cut_off(bench: Bench) -> State:
    """Kill a change while the new engine is being judged; give the state before it."""
    before = bench.host.look()
    # Of another look, which would put it right before the test has seen it.
    holder = bench.host.freeze_holder(CHANGE, "judging")
    run = bench.site.start_engine(bench.variables(context_length=768))
    holder.wait()
    bench.host.run(f"kill -KILL {holder.pid}")
    assert run.told().code, "the run did not see that its change was killed"
    return before


def test_a_change_that_was_killed_is_put_right_without_ansible(bench: Bench) -> None:
    before = cut_off(bench)
    host = bench.host
    host.wait_for("the end of the change", lambda: host.run(f"test -e {CHANGE} || echo gone").strip(), NOTICED_S)
    host.wait_until_idle()
    after = host.wait_until_served().must_serve().must_run("--ctx-size 512")
    assert after.current == before.current
    told = host.run("journalctl --unit 'llmops-recover@chat.service' --output cat --no-pager")
    assert "is back in place" in told
    assert f"generation {int(before.current)} serves" in told
    bench.changes_nothing(bench.variables())


def test_a_change_that_a_power_cut_ended_is_put_back_at_boot(bench: Bench) -> None:
    host = bench.host
    # Nobody but the boot shall have done it.
    host.run("systemctl stop llmops-watchdog.timer")
    before = cut_off(bench)
    assert host.run(f"test -e {CHANGE} && echo there").strip() == "there"
    host.power_cut()
    after = host.wait_until_served().must_serve().must_run("--ctx-size 512")
    assert after.current == before.current
    assert "is back in place" in host.run("journalctl --unit llmops-recover.service --output cat --no-pager --boot")
    assert host.run("systemctl is-active llmops-watchdog.timer").strip() == "active"
    bench.changes_nothing(bench.variables())
