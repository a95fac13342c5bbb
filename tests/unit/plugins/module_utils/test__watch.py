# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _watch
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed
from ansible_collections.llmops.serving.plugins.module_utils._watch import Sample, Watch, peaks, watch_while

if t.TYPE_CHECKING:
    from pathlib import Path

GROUP = "sys/fs/cgroup/system.slice/docker-abc.scope"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "proc/42/cgroup": "0::/system.slice/docker-abc.scope\n",
        "proc/meminfo": "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  400 kB\n",
        f"{GROUP}/cgroup.procs": "42\n43\n44\n",
        "proc/42/smaps_rollup": "00400000-7ffff Rss\nRss: 100 kB\nPss:  60 kB\nPss_Anon: 1 kB\n",
        "proc/43/smaps_rollup": "Pss: 40 kB\n",
        f"{GROUP}/memory.current": "5000\n",
        f"{GROUP}/memory.stat": "anon 3000\nfile 2000\ninactive_file 1500\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")

    def run(argv: list[str], **_: object) -> Completed:
        if argv[0] == "docker":
            if argv[-1] != "llmops-chat":
                message = "no such container"
                raise CommandError(message)
            config = {"Entrypoint": ["vllm"], "Cmd": ["serve", "/models/m"]}
            return Completed(0, json.dumps([{"State": {"Pid": 42}, "Config": config}]), "")
        return Completed(0, "1024, 55.5\n[N/A], [N/A]\n2048, 44.5\n", "")

    monkeypatch.setattr(_watch, "run", run)
    monkeypatch.setattr(_watch.shutil, "which", lambda _name: None)
    return tmp_path


def test_the_container_without_the_cache_and_the_host_are_seen(tree: Path) -> None:
    assert Watch("llmops-chat", tree).look() == Sample(3500, 600 * 1024, None, None)


def test_gpus_are_summed_up_and_those_that_tell_nothing_left_out(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_watch.shutil, "which", lambda name: f"/usr/bin/{name}")
    seen = Watch("llmops-chat", tree).look()
    assert (seen.gpu, seen.power_w) == (3 << 30, 100.0)


def test_without_an_account_of_memory_the_processes_are_added_up(tree: Path) -> None:
    (tree / GROUP / "memory.current").unlink()
    assert Watch("llmops-chat", tree).look().container == 100 * 1024


def test_the_command_line_and_the_gpus_limits_are_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Watch("llmops-chat", tree).gpus() == []
    monkeypatch.setattr(_watch.shutil, "which", lambda name: f"/usr/bin/{name}")
    watch = Watch("llmops-chat", tree)
    assert watch.command_line() == ["vllm", "serve", "/models/m"]
    assert watch.gpus()[:2] == [
        {"clock_mhz": 1024.0, "power_limit_w": 55.5},
        {"clock_mhz": None, "power_limit_w": None},
    ]
    assert Watch("llmops-other", tree).command_line() == []


def test_a_container_that_is_gone_is_unknown(tree: Path) -> None:
    assert Watch("llmops-other", tree).look().container is None


def test_the_first_version_of_control_groups_is_unknown(tree: Path) -> None:
    (tree / "proc/42/cgroup").write_text("4:memory:/docker/abc\n", encoding="ascii")
    assert Watch("llmops-chat", tree).look().container is None


def test_a_new_container_of_the_name_is_found(tree: Path) -> None:
    watch = Watch("llmops-chat", tree)
    watch.look()
    (tree / GROUP).rename(tree / "sys/fs/cgroup/system.slice/docker-def.scope")
    (tree / "proc/42/cgroup").write_text("0::/system.slice/docker-def.scope\n", encoding="ascii")
    assert watch.look().container == 3500


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([Sample(1, 2, None, None), Sample(3, 1, None, None)], ((3, 2, None), None)),
        ([Sample(None, None, 5, 10.0), Sample(None, None, 4, 30.0)], ((None, None, 5), {"mean": 20.0, "max": 30.0})),
    ],
)
def test_peaks_are_the_highest(samples: list[Sample], expected: t.Any) -> None:
    found = peaks(samples)
    memory = found["memory"]
    assert ((memory["container_peak"], memory["host_peak"], memory["gpu_peak"]), found["power_w"]) == expected
    assert found["samples"] == len(samples)


def test_a_watch_ends_with_its_file(tree: Path) -> None:
    assert watch_while(Watch("llmops-chat", tree), tree / "gone", 60)["samples"] == 1


def test_a_watch_ends_by_itself(tree: Path) -> None:
    (tree / "lease").touch()
    assert watch_while(Watch("llmops-chat", tree), tree / "lease", 0.05, interval=0.01)["samples"] > 1
