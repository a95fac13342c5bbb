# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker's answers, as `docker image inspect` of 26.1 and 29 gives them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _docker, _image_record
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed, MissingError
from ansible_collections.llmops.serving.plugins.module_utils._docker import image_digest, pull, remove_container
from ansible_collections.llmops.serving.plugins.module_utils._image_record import brought_images

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@dataclass
class Docker:
    """Answers in turn; one that is an exception is raised."""

    answers: list[Completed | CommandError]
    asked: list[tuple[list[str], dict[str, Any]]] = field(default_factory=list)

    def run(self, argv: list[str], **options: Any) -> Completed:
        self.asked.append((argv, options))
        answer = self.answers.pop(0)
        if isinstance(answer, CommandError):
            raise answer
        return answer


def images(*digests: str) -> Completed:
    return Completed(0, json.dumps([{"Id": "sha256:" + "0" * 64, "RepoTags": [], "RepoDigests": list(digests)}]), "")


NO_IMAGE = Completed(1, "[]\n", "Error response from daemon: No such image: x\n")
QUIET = Completed(0, "", "")


def play(monkeypatch: pytest.MonkeyPatch, *answers: Completed | CommandError) -> Docker:
    docker = Docker(list(answers))
    monkeypatch.setattr(_docker, "run", docker.run)
    return docker


# The name that is asked for, Docker's RepoDigests, and the name with which the unit runs it.
NAMES: list[tuple[str, list[str], str]] = [
    ("ghcr.io/a/b:v1", [f"ghcr.io/a/b@{ONE}"], f"ghcr.io/a/b@{ONE}"),
    # Docker leaves its own hub's name out, and `library` too.
    ("docker.io/michaelf34/infinity:0.0.77", [f"michaelf34/infinity@{ONE}"], f"docker.io/michaelf34/infinity@{ONE}"),
    ("docker.io/library/redis:8", [f"redis@{ONE}"], f"docker.io/library/redis@{ONE}"),
    # A colon before the last slash is a port and no tag.
    ("mirror:5000/ghcr.io/a/b:v1", [f"mirror:5000/ghcr.io/a/b@{ONE}"], f"mirror:5000/ghcr.io/a/b@{ONE}"),
    ("mirror:5000/b", [f"mirror:5000/b@{ONE}"], f"mirror:5000/b@{ONE}"),
    (f"ghcr.io/a/b@{ONE}", [f"ghcr.io/a/b@{ONE}"], f"ghcr.io/a/b@{ONE}"),
    (f"ghcr.io/a/b:v1@{ONE}", [f"ghcr.io/a/b@{ONE}"], f"ghcr.io/a/b@{ONE}"),
    # One image that came from several places has a digest for each.
    ("mirror:5000/a/b:v1", [f"ghcr.io/a/b@{ONE}", f"mirror:5000/a/b@{TWO}"], f"mirror:5000/a/b@{TWO}"),
    # Only at the beginning of a name does docker.io go without saying.
    (
        "mirror:5000/docker.io/a/b:v1",
        [f"mirror:5000/a/b@{ONE}", f"mirror:5000/docker.io/a/b@{TWO}"],
        f"mirror:5000/docker.io/a/b@{TWO}",
    ),
]


@pytest.mark.parametrize(("reference", "digests", "name"), NAMES)
def test_finds_the_digest_of_an_image(
    monkeypatch: pytest.MonkeyPatch, reference: str, digests: list[str], name: str
) -> None:
    docker = play(monkeypatch, images(*digests))
    assert image_digest(reference) == name
    assert docker.asked[0][0] == ["docker", "image", "inspect", reference]


NONE: list[Completed | CommandError] = [
    NO_IMAGE,
    CommandError("docker is not installed"),
    images(),  # built on the host
    images(f"ghcr.io/a/other@{ONE}"),
    Completed(0, json.dumps([{"RepoDigests": None}]), ""),
    Completed(0, json.dumps([{}]), ""),
]


@pytest.mark.parametrize("answer", NONE)
def test_an_image_that_no_registry_gave_has_none(
    monkeypatch: pytest.MonkeyPatch, answer: Completed | CommandError
) -> None:
    play(monkeypatch, answer)
    assert image_digest("ghcr.io/a/b:v1") is None


def test_says_exactly_which_image_came(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = play(monkeypatch, NO_IMAGE, QUIET, images(f"a/b@{ONE}"))
    assert pull("docker.io/a/b:v1", timeout=7) == f"docker.io/a/b@{ONE}"
    assert docker.asked[1] == (["docker", "pull", "--quiet", "docker.io/a/b:v1"], {"timeout": 7})
    assert [(found.asked, found.images) for found in brought_images()] == [
        ("docker.io/a/b:v1", [f"docker.io/a/b@{ONE}"])
    ]


# What was on the host under the name before, what came, and which images are the collection's from then on.
BEFORE: list[tuple[Completed, Completed, list[str]]] = [
    (images(f"a/b@{ONE}"), images(f"a/b@{ONE}"), []),
    (images(f"a/b@{ONE}"), images(f"a/b@{TWO}"), [f"a/b@{TWO}"]),
    (images(), images(f"a/b@{ONE}"), [f"a/b@{ONE}"]),
]


@pytest.mark.parametrize(("before", "after", "ours"), BEFORE)
def test_what_was_there_before_is_not_the_collections(
    monkeypatch: pytest.MonkeyPatch, before: Completed, after: Completed, ours: list[str]
) -> None:
    play(monkeypatch, before, QUIET, after)
    pull("a/b:v1")
    assert [image for found in brought_images() for image in found.images] == ours


def test_an_image_that_cannot_be_written_down_is_not_pulled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(_image_record, "RECORDS", tmp_path / "file")
    docker = play(monkeypatch, NO_IMAGE)
    with pytest.raises(CommandError, match=r"^docker pull a/b:v1: .*exists"):
        pull("a/b:v1")
    assert len(docker.asked) == 1


def test_a_registrys_refusal_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = play(monkeypatch, NO_IMAGE, CommandError("docker pull --quiet: manifest unknown"))
    with pytest.raises(CommandError, match="manifest unknown"):
        pull("ghcr.io/a/b:v1")
    assert len(docker.asked) == 2
    assert brought_images() == []


def test_an_image_without_a_digest_cannot_be_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, NO_IMAGE, QUIET, images())
    with pytest.raises(CommandError, match=r"^docker pull ghcr.io/a/b:v1: the registry gave no digest$"):
        pull("ghcr.io/a/b:v1")


def test_a_container_that_is_not_there_is_removed_already(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = play(monkeypatch, Completed(1, "", "Error response from daemon: No such container: llmops-chat"))
    remove_container("llmops-chat")
    assert docker.asked == [(["docker", "rm", "--force", "--volumes", "llmops-chat"], {"check": False})]


def test_without_docker_there_is_no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = play(monkeypatch, MissingError("docker is not installed"))
    remove_container("llmops-chat")
    assert docker.answers == []
