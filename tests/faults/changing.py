# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of a change: lost connections, two runs, drift, models that change or are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.bench import STORE, large_model, model
from tests.faults.runs import WOULD_CHANGE

if TYPE_CHECKING:
    from tests.faults.bench import Bench

#: The engine itself, not what starts it.
ENGINE = "^/app/llama-server"
UNIT = "/etc/systemd/system/llmops-chat.service"


def ssh_lost(bench: Bench) -> None:
    """The connection goes while the new engine loads: the host finishes the change, the next run finds it done."""
    want = bench.variables(context_length=768)
    engine = bench.host.freeze(ENGINE)
    run = bench.site.start(want)
    engine.wait()
    bench.host.cut_ssh()
    told = run.told()
    assert told.code == 1, told.text[-2000:]
    assert "ssh" in told.reasons, told.reasons
    engine.thaw()
    bench.host.wait_until_idle()
    bench.host.wait_until_served().must_serve().must_run("--ctx-size 768")
    bench.changes_nothing(want)
    bench.served()


def two_runs_at_once(bench: Bench) -> None:
    """The second says who is at work and since when, and changes nothing; the first is not disturbed."""
    want = bench.variables(context_length=768)
    engine = bench.host.freeze(ENGINE)
    first = bench.site.start(want)
    engine.wait()
    second = bench.site.apply(bench.variables(context_length=256))
    holder = bench.host.look().seen["holder"]
    assert holder, "nobody holds the lock"
    second.failed("lock", r"process \d+ .*server chat", r"since \S+ \d\d:\d\d:\d\d", "run again")
    assert not first.ended
    engine.thaw()
    first.told().went_well(changed=True)
    bench.host.look().must_serve().must_run("--ctx-size 768")
    bench.changes_nothing(want)
    bench.served()


def unit_edited(bench: Bench) -> None:
    """Somebody edited the unit: --check --diff shows the line, and one run puts it right."""
    bench.host.run(f"sed -i 's/--ctx-size 512/--ctx-size 128/' {UNIT}")
    seen = bench.site.start(bench.variables(), "--check", "--diff", as_json=False).told()
    assert seen.code == WOULD_CHANGE, seen.text[-2000:]
    assert "-ExecStart=" in seen.text
    assert "--ctx-size 128" in seen.text
    assert "--ctx-size 128" in bench.host.run(f"cat {UNIT}"), "the check changed it"
    bench.site.apply(bench.variables()).went_well(changed=True)
    bench.host.look().must_serve().must_run("--ctx-size 512")
    bench.changes_nothing(bench.variables())


def model_swapped(bench: Bench) -> None:
    """The served model's file is overwritten, and a new version comes: neither ever runs under the old one's name."""
    before = bench.host.look()
    (path,) = [path for path in before.store if path.startswith("tiny-chat/")]
    bench.host.run(f"dd if=/dev/urandom of={STORE}/{path} bs=64K seek=20 count=16 conv=notrunc status=none")
    bench.site.apply(bench.variables()).went_well(changed=True)
    after = bench.host.look().must_serve()
    assert after.store[path] == before.store[path], "the damaged file is still there"
    bench.changes_nothing(bench.variables())
    # Another version gets a folder of its own, and that of the engine that runs stays as it is.
    newer = bench.variables(models={"newer": model("lab/faults", "good.gguf")}, model="newer")
    engine = bench.host.freeze(ENGINE)
    run = bench.site.start(newer)
    engine.wait()
    assert bench.host.look().store[path] == before.store[path]
    engine.thaw()
    run.told().went_well(changed=True)
    bench.host.look().must_serve().must_run("/models/newer/")
    bench.served()
    bench.forget_model("newer")


def answer_wrong(bench: Bench) -> None:
    """Healthy, and it answers garbage, or is for something else: the old one comes back, with how long it was away."""
    broken = bench.variables(models={"broken": model("lab/broken-chat-gguf", "broken-chat.gguf")}, model="broken")
    told = bench.put_back(broken, "chat probe of broken", "serves again", r"away for [\d.]+ s")
    assert told.server()["failed_check"] == "chat probe of broken"
    other = large_model()["minilm-gguf"] | {"task": "chat"}
    bench.put_back(bench.variables(models={"other": other}, model="other"), "other", "serves again")
    bench.forget_model("broken", "other")
    bench.changes_nothing(bench.variables())
