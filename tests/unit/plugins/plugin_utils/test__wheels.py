# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.modules import benchmark_client
from ansible_collections.llmops.serving.plugins.plugin_utils import _wheels
from ansible_collections.llmops.serving.plugins.plugin_utils._wheels import PackError, Python, own_python, pack
from tests.unit.plugins.played_host import run_main

if t.TYPE_CHECKING:
    from pathlib import Path


def test_what_is_packed_here_can_be_imported_from_where_it_is_unpacked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = pack(own_python(), tmp_path / "client.tar", tmp_path / "cache")
    place = tmp_path / "there"
    code, result, _text = run_main(benchmark_client, capsys, path=str(place))
    assert (code, result["there"], result["python"]["version"]) == (0, False, own_python().version)
    code, result, _text = run_main(benchmark_client, capsys, path=str(place), archive=str(tmp_path / "client.tar"))
    assert (code, result["changed"], result["there"]) == (0, True, True)
    # Without the packages of this interpreter.
    says = (
        f"import sys; sys.path.insert(0, {str(place)!r}); import aiohttp; print(aiohttp.__version__, aiohttp.__file__)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", says], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split()[0] == version
    assert done.stdout.split()[1].startswith(str(place))
    code, result, _text = run_main(benchmark_client, capsys, path=str(place), archive=str(tmp_path / "client.tar"))
    assert (code, result["changed"]) == (0, False)
    code, result, _text = run_main(benchmark_client, capsys, path=str(place), state="absent")
    assert (code, result["changed"], place.exists()) == (0, True, False)


def test_an_archive_writes_nowhere_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evil").write_text("x", encoding="utf-8")
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        tar.add(tmp_path / "evil", "../escaped")
        tar.add(tmp_path / "evil", "fine")
    run_main(benchmark_client, capsys, path=str(tmp_path / "a" / "b"), archive=str(tmp_path / "bad.tar"))
    assert not (tmp_path / "a" / "escaped").exists()
    assert (tmp_path / "a" / "b" / "fine").exists()


def test_a_broken_archive_is_told_and_does_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.tar").write_bytes(b"no tar")
    code, result, _text = run_main(
        benchmark_client, capsys, path=str(tmp_path / "x"), archive=str(tmp_path / "bad.tar")
    )
    assert code == 1
    assert "benchmark_from to controller" in result["msg"]
    code, result, _text = run_main(benchmark_client, capsys, path=str(tmp_path / "x"))
    assert not result["there"]


@pytest.mark.parametrize(
    ("host", "alike"),
    [
        (Python("3.11", "x86_64", "glibc 2.36"), True),
        (Python("3.11", "x86_64", "glibc 2.34"), True),
        (Python("3.12", "x86_64", "glibc 2.36"), False),
        (Python("3.11", "aarch64", "glibc 2.36"), False),
        (Python("3.11", "x86_64", " "), False),
    ],
)
def test_compiled_parts_are_for_one_python_and_one_machine(host: Python, alike: bool) -> None:
    assert _wheels._is_alike(host, Python("3.11", "x86_64", "glibc 2.36")) == alike


def test_for_another_python_pip_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(argv: list[str], **_: t.Any) -> subprocess.CompletedProcess[str]:
        asked.append(argv)
        (tmp_path / "cache/aiohttp-3.13-aarch64/aiohttp-9.9.dist-info").mkdir(parents=True)
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setattr(_wheels.subprocess, "run", run)
    host = Python("3.13", "aarch64", "glibc 2.41")
    assert pack(host, tmp_path / "c.tar", tmp_path / "cache") == "9.9"
    assert {"--only-binary=:all:", "manylinux_2_41_aarch64", "3.13"} <= set(asked[0])
    assert pack(host, tmp_path / "c.tar", tmp_path / "cache") == "9.9"
    assert len(asked) == 1, "what was fetched is kept"


def test_what_pip_cannot_have_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: one\nERROR: No matching distribution found\n")
    monkeypatch.setattr(_wheels.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(PackError, match=r"for Python 3.7 on x86_64 cannot be had: ERROR: No matching .* to controller"):
        pack(Python("3.7", "x86_64", "glibc 2.28"), tmp_path / "c.tar", tmp_path / "cache")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away, and so must not")
def test_what_is_unpacked_belongs_to_who_unpacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with tarfile.open(tmp_path / "c.tar", "w") as tar:
        member = tar.gettarinfo(tmp_path / "file", "file")
        member.uid = member.gid = 12345
        member.uname = member.gname = ""
        tar.addfile(member, (tmp_path / "file").open("rb"))
    run_main(benchmark_client, capsys, path=str(tmp_path / "there"), archive=str(tmp_path / "c.tar"))
    assert (tmp_path / "there" / "file").stat().st_uid == os.getuid()
