# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot be had is said at once, by its name; and the token is nowhere but at the hub."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.store.faults import Rule
from tests.store.interrupt import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.hub_container import Hub
    from tests.store.place import Place, Want
    from tests.store.proxy import Proxy

WRONG = "hf_wrongWrongWrong"


class Refusal(NamedTuple):
    """A refused question: the model, the path and the status of the answer; what a message must say."""

    kind: str
    path: str
    status: int
    token: str
    words: tuple[str, ...]


@pytest.mark.parametrize(
    "case",
    [
        Refusal("file", "/resolve/", 401, "", ("serving_models['file'].repo", "store/file", "set serving_hub_token")),
        Refusal("file", "/resolve/", 401, WRONG, ("serving_models['file'].repo", "store/file", "serving_hub_token")),
        Refusal("file", "/resolve/", 403, WRONG, ("accept the licence", "store/file", "serving_hub_token")),
        Refusal("small", "/info/refs", 401, "", ("store/small", "set serving_hub_token")),
        Refusal("small", "/info/refs", 403, WRONG, ("accept the licence", "store/small", "serving_hub_token")),
        Refusal("small", "objects/batch", 401, WRONG, ("serving_models['small'].repo", "serving_hub_token")),
        Refusal("small", "objects/batch", 403, "", ("serving_models['small'].repo", "set serving_hub_token")),
        Refusal("small", "objects/batch", 404, "", ("serving_hub_url", "no LFS batch API")),
        Refusal("small", "git-upload-pack$", 401, WRONG, ("serving_hub_token", "store/small")),
        Refusal("small", "git-upload-pack$", 403, WRONG, ("serving_hub_token", "store/small")),
    ],
    ids=lambda case: f"{case.kind} {case.path} {case.status} {case.token and 'token'}",
)
def test_a_refusal_ends_the_run(place: Place, proxy: Proxy, want: Callable[[str], Want], case: Refusal) -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="hub"'}
    proxy.add(Rule("hub", case.path, status=case.status, headers=challenge))
    message = place.fails(want(case.kind).models, token=case.token)
    assert [word for word in case.words if word not in message] == []
    assert WRONG not in message
    # The first refusal is the last question (git itself asks once more, with the token).
    met = [index for index, one in enumerate(proxy.requests()) if one.status == case.status]
    assert len(met) <= (2 if case.path.startswith("git") else 1)
    assert met[-1] == len(proxy.requests()) - 1
    assert proxy.requests("", "cdn") == []
    place.must_hold()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"repo": "store/none"}, ["serving_models['m'].repo", "store/none", "404"]),
        ({"repo": "store/none", "file": "model.gguf"}, ["serving_models['m'].repo", "store/none"]),
        ({"repo": "store/small", "revision": "f" * 40}, ["serving_models['m'].revision", "no commit ffff"]),
        (
            {"repo": "store/small", "revision": "f" * 40, "file": "model.gguf"},
            ["serving_models['m'].revision", "no commit ffff"],
        ),
        (
            {"repo": "store/small", "file": "none.gguf"},
            ["serving_models['m'].file", "store/small has no file none.gguf"],
        ),
        ({"repo": "store/submodule"}, ["serving_models['m'].revision", "has a submodule (vendor/other)"]),
        (
            {"repo": "store/leaving"},
            ["serving_models['m'].revision", "leaves the tree (passwd -> ../../etc"],
        ),
        ({"repo": "store/absolute"}, ["serving_models['m'].revision", "leaves the tree (passwd -> /etc/passwd"]),
    ],
)
def test_what_is_not_there_and_what_is_not_wanted(
    place: Place, proxy: Proxy, hub: Hub, options: dict[str, str], words: list[str]
) -> None:
    known = hub.repos.get(options["repo"])
    revision = known.revision if known else "a" * 40
    message = place.fails({"m": {"revision": revision, **options}})
    assert [word for word in words if word not in message] == []
    assert proxy.requests("", "cdn") == []
    place.must_hold()


@pytest.mark.parametrize("kind", ["gated", "gated file"])
@pytest.mark.parametrize("token", ["", WRONG, f"user:{WRONG}"], ids=["no token", "wrong token", "wrong password"])
def test_a_gated_repository_is_closed(
    place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str, token: str
) -> None:
    message = place.fails(want(kind).models, token=token)
    assert "serving_hub_token" in message
    assert "store/gated" in message
    assert WRONG not in message
    assert [one.status for one in proxy.requests()] == [401]
    place.must_hold()


@pytest.mark.parametrize(("kind", "user"), list(itertools.product(["gated", "gated file"], ["", "user:"])))
def test_the_token_opens_it_and_goes_to_the_hub_only(  # noqa: PLR0913, PLR0917 - fixtures
    place: Place, proxy: Proxy, hub: Hub, want: Callable[[str], Want], kind: str, user: str
) -> None:
    # The objects' host sends on to a third one.
    proxy.add(Rule("cdn", redirect="other"))
    proxy.sign()
    model = want(kind)
    result = place.run(model.models, token=user + hub.token, progress=str(place.root.parent / "progress.json"))
    assert "msg" not in result, result["msg"]
    place.must_hold(model)
    assert proxy.requests("", "other") != []
    for one in proxy.requests("", "cdn", "other"):
        assert "authorization" not in one.headers
    assert all(hub.token not in one.path for one in proxy.requests())
    assert hub.token not in json.dumps(result)
    assert files_with(place.root.parent, hub.token) == []


@pytest.mark.parametrize("kind", ["gated", "gated file"])
def test_an_interrupted_run_leaves_no_token(
    place: Place, proxy: Proxy, hub: Hub, want: Callable[[str], Want], kind: str
) -> None:
    model = want(kind)
    interrupt(place, proxy, model, 0.5, token=hub.token)
    assert files_with(place.root, hub.token) == []
    # Without the token nothing more comes, and nothing of what came is shown.
    assert "set serving_hub_token" in place.fails(model.models)
    assert place.visible(model) == []
    place.fetch(model, token=hub.token)
    place.must_hold(model)


def test_the_token_is_in_no_command_line(place: Place, proxy: Proxy, hub: Hub, want: Callable[[str], Want]) -> None:
    proxy.add(Rule("hub", "POST .*/git-upload-pack", after=1, times=1, cut=0, stall=1.5))
    seen: list[bytes] = []
    run = place.start(want("gated").models, token=hub.token)
    while run.process.poll() is None:
        seen += [line for line in map(command_line, Path("/proc").glob("[0-9]*")) if b"git" in line]
    assert "msg" not in run.result()
    # It was git with this repository that was looked at.
    assert any(b"store/gated" in line for line in seen)
    assert not any(hub.token.encode() in line for line in seen)


def test_the_token_stays_off_a_redirect_from_the_hub(
    place: Place, proxy: Proxy, hub: Hub, want: Callable[[str], Want]
) -> None:
    # A hub that moved: what it was asked for is said to be on another origin now.
    proxy.add(Rule("hub", redirect="other"))
    message = place.fails(want("gated file").models, token=hub.token)
    assert hub.token not in message
    assert proxy.requests("", "other") != []
    assert all("authorization" not in one.headers for one in proxy.requests("", "other"))


def test_a_url_gets_no_token(place: Place, proxy: Proxy, hub: Hub, want: Callable[[str], Want]) -> None:
    place.fetch(want("url"), token=hub.token)
    assert all("authorization" not in one.headers for one in proxy.requests())


def test_the_given_certificates_count_whatever_the_environment_says(place: Place, want: Callable[[str], Want]) -> None:
    model = want("small")
    system = {"GIT_SSL_CAINFO": "/etc/ssl/certs/ca-certificates.crt", "GIT_SSL_CAPATH": "/etc/ssl/certs"}
    place.fetch(model, environment=system)
    place.must_hold(model)


def test_a_server_with_another_certificate_gets_nothing(
    place: Place, proxy: Proxy, hub: Hub, want: Callable[[str], Want]
) -> None:
    stranger = replace(place, ca=Path("/etc/ssl/certs/ca-certificates.crt"))
    message = stranger.fails(want("gated").models, token=hub.token)
    assert "the certificate of localhost" in message
    assert "is not trusted" in message
    assert proxy.requests() == []


def files_with(root: Path, secret: str) -> list[Path]:
    """The files that hold a secret."""
    return [path for path in root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def command_line(process: Path) -> bytes:
    """The words of a process, which may have ended."""
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
