# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._evidence_journal import (
    read_docker,
    read_kernel,
    read_unit,
)
from tests.unit.plugins.played_evidence import (
    ID,
    OTHER_ID,
    PlayedEvidence,
    engine_line,
    played_evidence,
    systemd_line,
)

UNIT = "llmops-chat.service"


def oom(identity: str, pid: int) -> list[str]:
    """What the kernel writes when a container goes over its memory (mm/oom_kill.c, 6.1)."""
    group = f"/system.slice/docker-{identity}.scope"
    return [
        "llama-server invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        f"oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg={group},task_memcg={group},task=llama-server,pid={pid},uid=0",
        f"Memory cgroup out of memory: Killed process {pid} (llama-server) total-vm:1kB, anon-rss:1kB",
        f"oom_reaper: reaped process {pid} (llama-server), now anon-rss:0kB",
    ]


XID = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, GPU has fallen off the bus."


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> PlayedEvidence:
    return played_evidence(monkeypatch)


def test_tells_the_engine_s_lines_from_systemd_s(host: PlayedEvidence) -> None:
    host.journal = [systemd_line("Started it"), engine_line("loading"), systemd_line("Main process exited")]
    said = read_unit(UNIT, 12.7)
    assert (said.engine, said.systemd) == (["loading"], ["Started it", "Main process exited"])
    (argv,) = host.commands
    assert argv[argv.index("--since") + 1] == "@12"
    assert argv[-3:] == [f"_SYSTEMD_UNIT={UNIT}", "+", f"UNIT={UNIT}"]


def test_of_one_start_alone(host: PlayedEvidence) -> None:
    read_unit(UNIT, 0, invocation="abc")
    assert host.commands[0][-3:] == ["_SYSTEMD_INVOCATION_ID=abc", "+", "INVOCATION_ID=abc"]


@pytest.mark.parametrize(
    ("starts", "lines", "began"),
    [
        (0, ["first", "second", "third"], 5),
        (1, ["third"], 30),
        (2, ["second", "third"], 20),
        (9, ["first", "second", "third"], 10),
    ],
)
def test_of_the_last_starts(host: PlayedEvidence, starts: int, lines: list[str], began: float) -> None:
    host.journal = [
        engine_line(text, start, at)
        for text, start, at in (("first", "a", 10), ("second", "b", 20), ("third", "c", 30))
    ]
    said = read_unit(UNIT, 5, starts=starts)
    assert (said.engine, said.began) == (lines, began)


def test_a_line_may_be_bytes_colours_or_several(host: PlayedEvidence) -> None:
    coloured = list(b"\x1b[31mno room\x1b[0m\r50 %\r100 %")
    host.journal = [engine_line(coloured), engine_line("one\n\ntwo"), engine_line(None)]
    assert read_unit(UNIT, 0).engine == ["no room", "50 %", "100 %", "one", "two"]


def test_of_the_kernel_what_can_be_a_reason(host: PlayedEvidence) -> None:
    host.kernel = ["eth0: renamed", XID, "docker0: port 2 entered disabled state", "x[1]: segfault at 0 ip 0"]
    assert read_kernel(0, ["llmops-chat", ID], killed=False) == [XID, "x[1]: segfault at 0 ip 0"]
    assert ["dmesg"] not in host.commands


def test_somebody_else_s_end_is_no_reason(host: PlayedEvidence) -> None:
    host.kernel = [*oom(OTHER_ID, 7), XID]
    assert read_kernel(0, ["llmops-chat", ID], killed=True) == [XID]
    host.kernel = [*oom(OTHER_ID, 7), *oom(ID, 8)]
    told = read_kernel(0, ["llmops-chat", ID], killed=True)
    assert [line for line in told if " 7 " in line or OTHER_ID in line] == []
    assert oom(ID, 8)[2] in told


@pytest.mark.parametrize(("killed", "count"), [(True, 5), (False, 1)])
def test_without_ids_it_counts_where_it_can_be(host: PlayedEvidence, killed: bool, count: int) -> None:
    host.kernel = [*oom(OTHER_ID, 7), XID]
    assert len(read_kernel(0, ["llmops-chat"], killed)) == count


def test_dmesg_where_the_journal_has_nothing_of_the_kernel(host: PlayedEvidence) -> None:
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    host.dmesg = f"[    0.000001] NVRM: old\n[{now:12.6f}] {XID}\nno time: NVRM\n<6>[{now:.6f}] x: segfault\n"
    assert read_kernel(time.time() - 60, ["llmops-chat"], killed=False) == [XID, "x: segfault"]


def test_of_docker_the_errors_that_name_the_container(host: PlayedEvidence) -> None:
    host.dockerd = [
        'level=info msg="ignoring event" container=' + ID,
        'level=error msg="no room" container=' + ID,
        'level=error msg="no room" container=' + OTHER_ID,
        'level=fatal msg="cannot start"',
    ]
    told = read_docker(0, ["llmops-chat", ID])
    assert told == ['level=error msg="no room" container=' + ID, 'level=fatal msg="cannot start"']


def test_a_journal_that_cannot_be_read_is_an_error(host: PlayedEvidence) -> None:
    host.broken = {"journalctl": "no journal"}
    with pytest.raises(CommandError, match="no journal"):
        read_unit(UNIT, 0)
