# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change interrupted at each of its steps: one complete generation serves afterwards, and the next run finishes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.bench import SERVERS
from tests.faults.changing import ENGINE
from tests.faults.hosting import small_disk
from tests.faults.table import interruptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.bench import Bench
    from tests.faults.fault_host import Frozen
    from tests.faults.runs import Run

#: By what the module `server` writes down while the old one is stopped and the new one is not started.
CHANGE = f"{SERVERS}/chat/change.json"


# -- the steps ---------------------------------------------------------------------------------------------------------


def at_pull(bench: Bench) -> Frozen:
    return bench.host.freeze("docker pull")


def at_write(bench: Bench) -> Frozen:
    numbers = [int(name) for name in bench.host.look().seen["generations"]]
    return bench.host.freeze_holder(f"{SERVERS}/chat/{max(numbers) + 1:04d}")


def at_between(bench: Bench) -> Frozen:
    return bench.host.freeze_holder(CHANGE, '"starting"')


def at_wait(bench: Bench) -> Frozen:
    return bench.host.freeze(ENGINE)


def at_gate(bench: Bench) -> Frozen:
    return bench.host.freeze_asked("chat", ENGINE)


# -- what happens there ------------------------------------------------------------------------------------------------


def ssh_lost(bench: Bench, _run: Run) -> None:
    bench.host.cut_ssh()


def controller_killed(_bench: Bench, run: Run) -> None:
    run.kill()


def power_cut(bench: Bench, _run: Run) -> None:
    bench.host.power_cut()


def docker_restarted(bench: Bench, _run: Run) -> None:
    bench.host.run("systemctl restart docker")


def container_killed(bench: Bench, _run: Run) -> None:
    bench.host.run("docker kill --signal KILL llmops-chat")


def disk_full(bench: Bench, _run: Run) -> None:
    bench.host.run("for size in 1M 4096 1; do dd if=/dev/zero bs=$size >>/mnt/small/filler 2>/dev/null; done; true")


def _marked(case: dict[str, Any]) -> Any:
    marks = [pytest.mark.core] if case.get("core") else []
    return pytest.param(case, id=f"{case['what']} at {case['at']}", marks=marks)


@pytest.mark.parametrize("case", [_marked(case) for case in interruptions()])
def test_interruption(interrupted: Bench, case: dict[str, Any]) -> None:
    bench, host = interrupted, interrupted.host
    hold: Callable[[Bench], Frozen] = globals()[f"at_{case['at']}"]
    strike: Callable[[Bench, Run], None] = globals()[case["what"]]
    want = bench.other_than(host.look().must_serve())
    if case["at"] == "pull" and "--ctx-size 512" in host.look().seen["unit"]:
        # Only the tag must be pulled, the digest is here.
        bench.site.apply_engine(want).played_well()
        want = bench.other_than(host.look())
    with small_disk(host, SERVERS, "4m") if case["what"] == "disk_full" else contextlib.nullcontext():
        before = host.look()
        held = hold(bench)
        run = bench.site.start_engine(want)
        held.wait()
        strike(bench, run)
        held.thaw()
        host.wait_until_idle()
        run.told()
        if case["what"] == "disk_full":
            host.run("rm -f /mnt/small/filler")
        # By itself, old or new: nobody has run anything since.
        host.wait_until_served().must_serve(settled=False)
        bench.site.apply_engine(want).played_well()
        after = host.look().must_serve()
        assert after.current != before.current, "the next run did not finish the change"
