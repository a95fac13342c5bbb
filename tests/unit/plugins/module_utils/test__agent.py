# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The agent is put below a folder of the test's own; systemd is played, the agent's code is run for real."""

from __future__ import annotations

import stat
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _agent, _lock
from ansible_collections.llmops.serving.plugins.module_utils._agent import Places, ensure, remove, unit_texts
from ansible_collections.llmops.serving.plugins.module_utils._command import Completed

OWN = "ansible_collections/llmops/serving/plugins/module_utils"


class Systemd:
    """Knows two units, and forgets nothing that it is told."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.enabled, self.active, self.stale = False, False, False

    def run(self, argv: list[str], timeout: float = 60, check: bool = True) -> Completed:
        line = " ".join(argv)
        assert timeout > 0
        if argv[1] == "show":
            words = {
                "UnitFileState": "enabled" if self.enabled else "disabled",
                "ActiveState": "active" if self.active else "inactive",
                "NeedDaemonReload": "yes" if self.stale else "no",
            }
            block = "".join(f"{word}={value}\n" for word, value in words.items())
            return Completed(0, f"{block}\n{block}", f"checked: {check}")
        self.commands.append(line)
        self.enabled = (self.enabled or "enable" in argv) and "disable" not in argv
        self.active = (self.active or argv[1] in ("start", "restart")) and argv[1] != "stop"
        self.stale = self.stale and argv[1] != "daemon-reload"
        return Completed(0, "", "")


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Systemd:
    made = Systemd()
    monkeypatch.setattr(_agent, "run", made.run)
    monkeypatch.setattr(_lock, "LOCK_DIR", tmp_path / "lock")
    _agent._spec.cache_clear()
    return made


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "units").mkdir()
    return Places(tmp_path / "lib", tmp_path / "units", tmp_path / "run")


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python without this collection and without Ansible: no environment, no site, nobody's modules."""
    return subprocess.run([sys.executable, "-I", "-S", *words], capture_output=True, text=True, check=False)  # noqa: S603  our own


def test_it_is_there_once_and_then_nothing_changes(systemd: Systemd, places: Places) -> None:
    assert ensure(dry=True, places=places) is True
    assert not places.root.exists()
    assert ensure(places=places) is True
    assert systemd.commands == [
        "systemctl --no-reload enable --quiet llmops-watchdog.timer llmops-recover.service",
        "systemctl daemon-reload",
        "systemctl restart llmops-watchdog.timer",
    ]
    assert sorted(path.name for path in places.units.iterdir()) == sorted(unit_texts(places))
    systemd.commands.clear()
    assert ensure(dry=True, places=places) is False
    assert ensure(places=places) is False
    assert systemd.commands == []


@pytest.mark.usefixtures("systemd")
def test_its_code_runs_by_itself(places: Places) -> None:
    ensure(places=places)
    done = python(str(places.link), "recover", "--help")
    assert done.returncode == 0, done.stderr
    assert "--start SERVER" in done.stdout
    assert f"ExecStart={sys.executable} -E -s {places.link} watch" in unit_texts(places)["llmops-watchdog.service"]


@pytest.mark.usefixtures("systemd")
def test_it_holds_what_it_imports_and_nothing_for_types_alone(places: Places) -> None:
    ensure(places=places)
    names = {path.stem for path in (places.link / OWN).iterdir()}
    assert {"_agent_main", "_watchdog", "_watch_ask", "_server", "_probes", "_evidence"} <= names
    assert not {"_agent", "_bench_client", "_model_download"} & names
    modes = {stat.S_IMODE(path.stat().st_mode) for path in places.link.rglob("*") if path.is_file()}
    assert modes == {0o644}


@pytest.mark.usefixtures("systemd")
def test_the_same_code_has_the_same_name_from_a_zip(places: Places, tmp_path: Path) -> None:
    ensure(places=places)
    # As Ansible sends it to a host: all in one zip.
    bundle = tmp_path / "sent.zip"
    with zipfile.ZipFile(bundle, "w") as file:
        for path in places.link.rglob("*.py"):
            file.write(path, path.relative_to(places.link))
        file.write(Path(_agent.__file__), f"{OWN}/_agent.py")
    program = (
        f"import sys; sys.path.insert(0, {str(bundle)!r})\n"
        f"from {OWN.replace('/', '.')} import _agent\n"
        "print(_agent._version(_agent._files(_agent._modules())))"
    )
    done = python("-c", program)
    assert done.stdout.strip() == places.link.resolve().name[len("agent-") :], done.stderr


def _spoil_code(places: Places) -> None:
    (places.link / OWN / "_watchdog.py").write_text("", encoding="utf-8")


def _lose_code(places: Places) -> None:
    (places.link / OWN / "_watchdog.py").unlink()


def _lose_link(places: Places) -> None:
    places.link.unlink()


def _spoil_unit(places: Places) -> None:
    (places.units / "llmops-watchdog.timer").write_text("[Timer]\n", encoding="utf-8")


@pytest.mark.parametrize(("spoil", "reloads"), [
    (_spoil_code, False),
    (_lose_code, False),
    (_lose_link, False),
    (_spoil_unit, True),
])  # fmt: skip
def test_what_got_broken_is_mended(
    systemd: Systemd, places: Places, spoil: t.Callable[[Places], None], reloads: bool
) -> None:
    ensure(places=places)
    systemd.commands.clear()
    spoil(places)
    assert ensure(dry=True, places=places) is True
    assert ensure(places=places) is True
    assert ensure(places=places) is False
    # Some servers do not survive a reload of systemd, so there is none without need.
    assert ("systemctl daemon-reload" in systemd.commands) is reloads


@pytest.mark.parametrize("word", ["enabled", "active", "stale"])
def test_what_systemd_has_not_is_mended(systemd: Systemd, places: Places, word: str) -> None:
    ensure(places=places)
    setattr(systemd, word, word == "stale")
    assert ensure(places=places) is True
    assert ensure(places=places) is False


@pytest.mark.usefixtures("systemd")
def test_the_version_before_stays_and_older_ones_go(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = []
    for text in ("# one", "# two", "# three"):
        monkeypatch.setattr(_agent, "_MAIN", text)
        ensure(places=places)
        versions.append(places.link.resolve().name)
    assert len(set(versions)) == 3
    assert sorted(path.name for path in places.root.iterdir()) == sorted(["agent", *versions[1:]])


def test_another_interpreter_is_another_unit_and_the_same_code(systemd: Systemd, places: Places) -> None:
    ensure(places=places)
    before = places.link.resolve()
    assert ensure(places=places, python="/opt/python/bin/python3") is True
    assert places.link.resolve() == before
    assert "ExecStart=/opt/python/bin/python3 " in (places.units / "llmops-watchdog.service").read_text("utf-8")
    assert "systemctl daemon-reload" in systemd.commands


def test_it_goes_whole(systemd: Systemd, places: Places, tmp_path: Path) -> None:
    ensure(places=places)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "chat.json").touch()
    (places.units / "other.service").touch()
    removed = remove(places)
    assert str(places.link) in removed
    assert str(places.run) in removed
    assert str(places.root) in removed
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "lock")
    assert left == ["other.service"]
    assert systemd.commands[-2] == "systemctl daemon-reload"
    systemd.commands.clear()
    assert remove(places) == []
    assert systemd.commands == []


def test_what_is_beside_it_stays(systemd: Systemd, places: Places) -> None:
    ensure(places=places)
    (places.root / "of-somebody-else").touch()
    assert str(places.root) not in remove(places)
    assert [path.name for path in places.root.iterdir()] == ["of-somebody-else"]
    assert systemd.active is False
