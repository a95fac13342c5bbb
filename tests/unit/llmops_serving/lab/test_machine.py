# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from llmops_serving.lab import machine
from llmops_serving.lab.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path

DEB822 = """Types: deb
# http://snapshot.example/archive/debian/2025
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates

Types: deb
URIs: http://mirror.example/debian-security/
"""


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (DEB822, ("http://mirror.example/debian", "http://mirror.example/debian-security")),
        ("deb [signed-by=/x] https://m/debian trixie main\n", ("https://m/debian", "")),
        ("# deb http://old/debian sid main\n", ("", "")),
        ("deb http://archive.ubuntu.com/ubuntu noble main\n", ("", "")),
        ("", ("", "")),
    ],
)
def test_find_mirrors(sources: str, expected: tuple[str, str]) -> None:
    assert machine.find_mirrors(sources) == expected


def test_sources_of_a_stable_and_of_a_testing_suite() -> None:
    assert machine.debian_sources("trixie", "http://m", "http://s").splitlines() == [
        "deb http://m trixie main",
        "deb http://m trixie-updates main",
        "deb http://s trixie-security main",
    ]
    assert machine.debian_sources("forky", "http://m", "http://s") == "deb http://m forky main\n"
    assert machine.debian_sources("trixie", "", "") == ""


def test_apt_settings_keep_transport_and_drop_the_rest() -> None:
    dump = "\n".join(
        [
            'APT "";',
            'Acquire::http::Proxy "http://proxy:3128";',
            'Acquire::http::Proxy::local "DIRECT";',
            'Acquire::https "";',
            'Acquire::Check-Valid-Until "false";',
            'Acquire::Languages "none";',
            'DPkg::Post-Invoke:: "rm -rf /";',
        ]
    )
    assert machine.apt_settings(dump).splitlines() == [
        'Acquire::http::Proxy "http://proxy:3128";',
        'Acquire::http::Proxy::local "DIRECT";',
        'Acquire::Check-Valid-Until "false";',
    ]


def test_pip_paths_become_mounts(tmp_path: Path) -> None:
    wheels, index = tmp_path / "wheels", tmp_path / "index" / "simple"
    wheels.mkdir()
    index.mkdir(parents=True)
    access = machine.translate_pip(
        {
            "find-links": str(wheels),
            "extra-index-url": f"file://{index} https://other.example/simple",
            "index-url": "https://pypi.example/simple",
            "cert": "/etc/ssl/ca.pem",
            "target": "/somewhere",
        },
        "/in",
    )
    lines = access.config.splitlines()
    assert access.mounts == {index.parent: "/in/pip-0", wheels: "/in/pip-1"}
    assert "extra-index-url = file:///in/pip-0/simple https://other.example/simple" in lines
    assert "find-links = /in/pip-1" in lines
    assert "index-url = https://pypi.example/simple" in lines
    assert not any(line.startswith(("cert", "target")) for line in lines)


def test_pip_files_and_variables_in_pips_order(tmp_path: Path) -> None:
    config = tmp_path / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text("[global]\nindex-url = https://file.example/simple\nretries = 7\n")
    access = machine.read_pip({"PIP_INDEX_URL": "https://variable.example/simple"}, tmp_path, "/in")
    assert "index-url = https://variable.example/simple" in access.config.splitlines()
    assert "retries = 7" in access.config.splitlines()


def test_site_authorities_are_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "site.crt").write_text("PEM")
    (tmp_path / "note.txt").write_text("no")
    assert machine.read_site_cas(tmp_path) == {"site.crt": "PEM"}
    assert machine.read_site_cas(tmp_path / "absent") == {}


def test_free_port_skips_what_is_taken_or_in_use() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        used = holder.getsockname()[1]
        port = machine.free_port(used, taken={used + 1})
    assert port not in {used, used + 1}
    assert port > used


def test_missing_commands_are_named_where_they_cannot_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LabError, match="some-package"):
        machine.require_commands({"no-such-command-at-all": "some-package"})
