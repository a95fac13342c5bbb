# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is looked at before a server that runs is touched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _prepare
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed, MissingError
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from ansible_collections.llmops.serving.plugins.module_utils._prepare import (
    Unready,
    demand_models,
    demand_port,
    demand_unit,
)
from tests.unit.plugins.stored_models import put

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "aaaaaaaaaaaa"


def models(folder: Path) -> list[dict[str, Any]]:
    return [{"name": "x", "path": str(folder)}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(str(tmp_path / "store"))
    return put(store, "x", KEY)


def test_a_model_that_is_as_it_was_fetched_is_whole(folder: Path) -> None:
    demand_models(models(folder))
    # Copied, say by a backup: the times are others, the content is the same.
    os.utime(folder / "config.json", (0, 0))
    demand_models(models(folder))


def test_a_folder_that_the_store_knows_nothing_of_only_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    demand_models(models(tmp_path / "own"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), cut, flip])
def test_a_damaged_model_is_named(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder / "config.json")
    with pytest.raises(Unready, match=rf"model: x: {folder}/config.json is not as it was fetched; run the role models"):
        demand_models(models(folder))


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unready, match="model: x is not in the host's model store"):
        demand_models(models(tmp_path / "gone"))


# bind and port of the server, address and port of who listens, whether they meet
PORTS = [
    ("127.0.0.1", 8000, "127.0.0.1", 8000, True),
    ("127.0.0.1", 8000, "0.0.0.0", 8000, True),  # noqa: S104  a row of a table
    ("0.0.0.0", 8000, "10.0.0.1", 8000, True),  # noqa: S104
    ("127.0.0.1", 8000, "10.0.0.1", 8000, False),
    ("127.0.0.1", 8000, "127.0.0.1", 8001, False),
    ("::", 8000, "::1", 8000, True),
]


@pytest.mark.parametrize(("bind", "port", "address", "taken", "meets"), PORTS)
def test_a_port_that_somebody_else_holds(  # noqa: PLR0913, PLR0917  the words of a table
    monkeypatch: pytest.MonkeyPatch, bind: str, port: int, address: str, taken: int, meets: bool
) -> None:
    entry = {"port": taken, "address": address, "pid": 7, "process": "nginx"}
    monkeypatch.setattr(_prepare, "listening_ports", lambda _root: [entry])
    if meets:
        with pytest.raises(Unready, match=r"port: 8000 of the host is held by nginx \(process 7\), on "):
            demand_port(bind, port)
    else:
        demand_port(bind, port)


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("", True),
        ("/etc/systemd/system/other.service:3: Unknown key 'Foo' in section [Service], ignoring.\n", True),
        ("{place}:6: Unknown key 'Foo' in section [Service], ignoring.\n", False),
        ('{place}:2: Unbalanced quoting, ignoring: "/usr/bin/docker run "x"\n', False),
        ("llmops-chat.service: Command /usr/bin/docker is not executable: No such file or directory\n", False),
    ],
)
def test_a_unit_that_systemd_does_not_take(monkeypatch: pytest.MonkeyPatch, said: str, taken: bool) -> None:
    def run(argv: list[str], **_: object) -> Completed:
        return Completed(int(not taken), "", said.format(place=argv[-1]))

    monkeypatch.setattr(_prepare, "run", run)
    if taken:
        demand_unit("llmops-chat.service", "[Unit]\n")
    else:
        with pytest.raises(Unready, match=r"unit: systemd does not take the unit: llmops-chat\.service") as caught:
            demand_unit("llmops-chat.service", "[Unit]\n")
        assert caught.value.remedy == "correct environment and options of the server"


@pytest.mark.parametrize("error", [MissingError("none"), CommandError("slow")])
def test_a_systemd_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch, error: CommandError) -> None:
    def run(*_: object, **__: object) -> Completed:
        raise error

    monkeypatch.setattr(_prepare, "run", run)
    if isinstance(error, MissingError):
        demand_unit("llmops-chat.service", "[Unit]\n")
    else:
        with pytest.raises(Unready, match="unit: slow; run systemctl status"):
            demand_unit("llmops-chat.service", "[Unit]\n")
