# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _preflight
from ansible_collections.llmops.serving.plugins.module_utils._preflight import (
    DiskNeed,
    disk_problems,
    host_problems,
    image_needs,
    port_problems,
)
from ansible_collections.llmops.serving.plugins.module_utils._registry import ImageAnswer
from tests.unit.plugins.played_host import PlayedHost, played_host

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    return played_host(tmp_path, monkeypatch)


# -- the host


def facts(systemd: bool = True, supported: bool = True, docker: bool = False, **distribution: Any) -> dict[str, Any]:
    system = {"id": "debian", "version": "12", "supported": supported, **distribution}
    return {
        "hostname": "box",
        "systemd": {"running": systemd, "version": 252},
        "distribution": system,
        "docker": {"installed": docker},
    }


GOOD_HOSTS = [facts(), facts(docker=True), facts(supported=False, docker=True, id="arch")]


@pytest.mark.parametrize("found", GOOD_HOSTS)
def test_a_host_can_serve(found: dict[str, Any]) -> None:
    # Where Docker is already, nobody needs to know how to install it.
    assert list(host_problems(found)) == []


BAD_HOSTS = [
    (facts(systemd=False), ["host box: systemd does not run there"]),
    (facts(supported=False, id="alpine", version="3.20"), ["host box: alpine 3.20 is not among the distributions"]),
    (facts(supported=False, id="debian", version="11"), ["host box: debian 11 is not among the distributions"]),
    (facts(supported=False, id="", version=None), ["host box: its system "]),
    (facts(systemd=False, supported=False, id="arch"), ["systemd does not run", "arch 12 is not among"]),
]


@pytest.mark.parametrize(("found", "words"), BAD_HOSTS)
def test_a_host_cannot_serve(found: dict[str, Any], words: list[str]) -> None:
    problems = list(host_problems(found))
    assert len(problems) == len(words)
    for problem, word in zip(problems, words, strict=True):
        assert word in problem
    assert all("choose another host" in problem or "install Docker there yourself" in problem for problem in problems)


# -- ports


def listens(port: int, address: str = "127.0.0.1", process: str | None = "nginx") -> dict[str, Any]:
    pid = 42 if process else None
    return {"port": port, "address": address, "protocol": "tcp", "pid": pid, "process": process, "unit": None}


def wants(port: int, bind: str = "127.0.0.1", name: str = "chat") -> dict[str, Any]:
    return {"name": name, "bind": bind, "port": port}


HELD = "serving_servers['chat'].port: 8001 is held by nginx (process 42) on the host: choose another port, or stop"
# Who binds what, and whether that is in the way.
ADDRESSES: list[tuple[str, str, bool]] = [
    ("127.0.0.1", "127.0.0.1", True),
    ("127.0.0.1", "0.0.0.0", True),  # noqa: S104  compared
    ("127.0.0.1", "::", True),
    ("0.0.0.0", "10.0.0.5", True),  # noqa: S104  compared
    ("::", "127.0.0.1", True),
    ("::1", "::1", True),
    ("127.0.0.1", "10.0.0.5", False),
    ("10.0.0.5", "127.0.0.1", False),
]


@pytest.mark.parametrize(("bind", "address", "clash"), ADDRESSES)
@pytest.mark.usefixtures("host")
def test_another_programs_port_is_in_the_way_on_the_same_address(bind: str, address: str, clash: bool) -> None:
    problems = list(port_problems([wants(8001, bind)], [listens(22), listens(8001, address)]))
    assert len(problems) == int(clash)
    assert all(problem.startswith(HELD) for problem in problems)


@pytest.mark.usefixtures("host")
def test_names_the_program_that_is_in_the_way_and_no_other() -> None:
    ports = [listens(8001, "10.0.0.5", "sshd"), listens(8001, "127.0.0.1", "nginx")]
    (problem,) = port_problems([wants(8001)], ports)
    assert problem.startswith(HELD)


@pytest.mark.usefixtures("host")
def test_a_program_that_cannot_be_seen_is_told_too() -> None:
    (problem,) = port_problems([wants(8001)], [listens(8001, process=None)])
    assert "8001 is held by another program on the host" in problem


@pytest.mark.usefixtures("host")
def test_a_free_port_is_fine() -> None:
    assert list(port_problems([wants(8001)], [listens(8002)])) == []


@pytest.mark.parametrize("name", ["chat", "embed"])
def test_a_server_of_the_inventory_may_hold_the_port(host: PlayedHost, name: str) -> None:
    # `embed` is wanted too, so that it may be on its way to another port.
    host.have(name, port=8001)
    servers = [wants(8001), wants(8002, name="embed")]
    assert list(port_problems(servers, [listens(8001, process="docker-proxy")])) == []


def test_a_server_that_the_inventory_forgot_is_named(host: PlayedHost) -> None:
    host.have("old", port=8001)
    (problem,) = port_problems([wants(8001)], [listens(8001, process="docker-proxy")])
    assert "is held by the server 'old', which the inventory no longer has: set serving_prune: true" in problem
    assert list(port_problems([wants(8001)], [listens(8001, process="docker-proxy")], ["old"])) == []


def test_a_forgotten_server_that_is_stopped_holds_nothing(host: PlayedHost) -> None:
    host.have("old", port=8001)
    assert list(port_problems([wants(8001)], [])) == []


def test_an_attempt_that_never_served_holds_nothing(host: PlayedHost) -> None:
    host.have("old", current=False, port=8001)
    (problem,) = port_problems([wants(8001)], [listens(8001)])
    assert problem.startswith(HELD)


# -- images


def ask(monkeypatch: pytest.MonkeyPatch, **answers: ImageAnswer) -> list[str]:
    """Play the registries; gives the images that they were asked for."""
    asked: list[str] = []

    def check_image(image: str, **_words: object) -> ImageAnswer:
        asked.append(image)
        return answers[image.partition(":")[0]]

    monkeypatch.setattr(_preflight, "check_image", check_image)
    return asked


def runs(name: str, image: str) -> dict[str, Any]:
    return {"name": name, "image": image}


def test_a_host_that_has_everything_asks_nobody(host: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.images, host.pulled = {"img:1": "img@sha256:1"}, {"img:1"}
    asked = ask(monkeypatch)
    assert image_needs([runs("new", "img:1")], "/docker") == ([], [], {})
    assert asked == []


def test_a_tag_that_was_resolved_counts_by_its_digest(host: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tag is gone from the host, or names another image meanwhile; what the server runs is what counts.
    host.have("chat", image="img:1")
    host.images, host.pulled = {"img:old": "img@sha256:1"}, {"img:old"}
    asked = ask(monkeypatch, img=ImageAnswer(ok=True, size=MIB))
    assert image_needs([runs("chat", "img:1")], "/docker") == ([], [], {})
    assert asked == []


@pytest.mark.parametrize(("before", "asked_for"), [("img:1", "img:1@sha256:1"), ("img:1@sha256:1", "img:1")])
def test_an_image_that_is_locked_or_unlocked_is_here_already(
    before: str, asked_for: str, host: PlayedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.have("chat", image=before)
    host.images, host.pulled = {"img@sha256:1": "img@sha256:1"}, {"img@sha256:1"}
    asked = ask(monkeypatch)
    assert image_needs([runs("chat", asked_for)], "/docker") == ([], [], {})
    assert asked == []


def test_an_image_that_was_pruned_is_asked_for(host: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.have("chat", image="img:1")
    asked = ask(monkeypatch, img=ImageAnswer(ok=True, size=2 * MIB, requires="cuda>=12.9"))
    assert image_needs([runs("chat", "img:1")], "/docker") == (
        [],
        [DiskNeed("/docker", "the image img:1", 7 * MIB)],
        {"img:1": "cuda>=12.9"},
    )
    assert asked == ["img:1"]


@pytest.mark.usefixtures("host")
def test_each_image_is_asked_for_and_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ask(monkeypatch, img=ImageAnswer(ok=True, size=2 * MIB), other=ImageAnswer(ok=True, size=None))
    servers = [runs("a", "img:1"), runs("b", "img:1"), runs("c", "other:1")]
    problems, needs, _requires = image_needs(servers, "/docker")
    assert problems == []
    assert [need.what for need in needs] == ["the image img:1"]
    assert asked == ["img:1", "other:1"]


@pytest.mark.usefixtures("host")
def test_a_registrys_no_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    ask(
        monkeypatch,
        img=ImageAnswer(ok=True, size=MIB),
        gone=ImageAnswer(ok=False, problem="image: gone:1: there is no such tag; correct image"),
    )
    problems, needs, _requires = image_needs([runs("a", "img:1"), runs("b", "gone:1"), runs("c", "gone:1")], "/docker")
    assert problems == ["serving_servers['b'].image: gone:1: there is no such tag; correct image"]
    assert [need.what for need in needs] == ["the image img:1"]


# -- disk

DISK = {
    "/var/lib/docker": {"mount": "/", "free": 100 * MIB},
    "/var/lib/llmops/models": {"mount": "/", "free": 100 * MIB},
    "/data/models": {"mount": "/data", "free": 100 * MIB},
}


def need(path: str, what: str, size: int) -> DiskNeed:
    return DiskNeed(path, what, size * MIB)


def test_what_fits_is_fine() -> None:
    needs = [need("/var/lib/docker", "the image a", 60), need("/var/lib/llmops/models", "m", 40)]
    assert list(disk_problems(needs, DISK)) == []
    assert list(disk_problems([], DISK)) == []


def test_needs_on_one_file_system_add_up() -> None:
    needs = [need("/var/lib/docker", "the image a", 60), need("/var/lib/llmops/models", "m", 41)]
    (problem,) = disk_problems(needs, DISK)
    assert problem == (
        "disk: / needs 101 MiB (the image a 60 MiB, m 41 MiB) and has 100 MiB free: free 2 MiB there, or set "
        "serving_model_dir to another disk"
    )


def test_needs_on_two_file_systems_do_not() -> None:
    needs = [need("/var/lib/docker", "the image a", 60), need("/data/models", "m", 60)]
    assert list(disk_problems(needs, DISK)) == []


def test_each_file_system_that_is_too_small_is_told() -> None:
    needs = [need("/var/lib/docker", "the image a", 101), need("/data/models", "m", 300)]
    problems = list(disk_problems(needs, DISK))
    assert [problem.split(" and has")[0] for problem in problems] == [
        "disk: / needs 101 MiB (the image a 101 MiB)",
        "disk: /data needs 300 MiB (m 300 MiB)",
    ]


def test_a_place_that_could_not_be_measured_is_no_problem() -> None:
    assert list(disk_problems([need("/elsewhere", "m", 10**9)], DISK)) == []
