# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What we start llama-server with, as the program itself takes and understands it."""

from __future__ import annotations

import json
import re
import shlex
import time
import typing as t
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from tests.conformance.cases import (
    ALWAYS,
    TEMPLATE,
    TEMPLATES,
    Case,
    awkward_cases,
    cases,
    flag_cases,
    key_cases,
)
from tests.conformance.lab_images import docker, image, tiny_gguf
from tests.conformance.words import read_words, rows

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE = "llama_cpp"
CASES = [*cases(ENGINE), *awkward_cases(ENGINE), *key_cases(ENGINE)]
FLAGS = list(flag_cases(ENGINE))
UNKNOWN = "--no-such-flag"
CUT_OFF = "--ctx-siz"
REFUSAL = re.compile(r"error: invalid argument.*|error while handling argument.*|error: .*requires.*")
#: What the program prints once it has taken its arguments, for there is no such model.
TAKEN = "failed to load model, '/models/tiny/tiny.gguf'"
#: Flags with which it says something else, though it takes them.
OTHERWISE = {
    "--cache-list": "number of models in cache",
    "--completion-bash": "complete -F _llama_completions",
    "--docker-repo": "Docker Model download failed",
    "--list-devices": "Available devices",
    "--log-disable": "",
    "--rpc": "RPC not supported in this build",
}


def script(words: list[str], files: t.Mapping[str, str]) -> str:
    """Write the lines of a shell script that start llama-server."""
    write = [
        f"mkdir -p {shlex.quote(name.rpartition('/')[0])}; printf %s {shlex.quote(text)} > {shlex.quote(name)}"
        for name, text in files.items()
    ]
    return "\n".join([*write, f"timeout 10 /app/llama-server {shlex.join(words)} 2>&1"])


def tried(groups: t.Sequence[t.Sequence[tuple[list[str], t.Mapping[str, str]]]]) -> list[list[str]]:
    """Start llama-server with the command lines of each group until it takes one, all in one container.

    Returns:
        For each group what it said to the lines that were tried.
    """
    text = "printf '{}' > /tmp/a.json\n" + "\n".join(
        f"(\n{_until_taken([script(words, files) for words, files in group])}\n)\nprintf '\\n=== {number}\\n'"
        for number, group in enumerate(groups)
    )
    words = ["run", "--rm", "--interactive", "--network", "none", "--entrypoint", "/bin/sh", image(ENGINE)]
    told = docker(*words, text=text, check=False).stdout
    parts = re.split(r"\n=== (\d+)\n", told)
    assert [int(number) for number in parts[1::2]] == list(range(len(groups)))
    return [part.split("\n---\n") for part in parts[0:-1:2]]


def _until_taken(scripts: list[str]) -> str:
    stop = f"case $said in *{shlex.quote(TAKEN)}*) exit;; esac; printf '\\n---\\n'"
    return "\n".join(f'said=$({text})\nprintf %s "$said"\n{stop}' for text in scripts)


@pytest.fixture(scope="module")
def said() -> dict[str, list[str]]:
    """What llama-server said to each of our lines: by case or flag, for each way to write it."""
    tries = {f"case {case.id}": [case] for case in CASES if not case.problems()}
    tries |= {f"flag {name}": [case for case in ways if not case.problems()] for name, ways in FLAGS}
    groups = [[(case.plan().words, case.plan().files) for case in ways] for ways in tries.values()]
    plain = CASES[0].plan().words
    return dict(
        zip(
            [*tries, "unknown", "cut off"],
            tried([*groups, [([*plain, UNKNOWN], {})], [([*plain, CUT_OFF, "64"], {})]]),
            strict=True,
        )
    )


def refusals(texts: list[str]) -> list[str]:
    """Say why llama-server took none of some command lines."""
    if any(TAKEN in text for text in texts):
        return []
    return [match[0] for text in texts if (match := REFUSAL.search(text))]


def as_expected(name: str, texts: list[str]) -> bool:
    """Tell whether llama-server took a flag, by what it said."""
    sign = OTHERWISE.get(name.partition(" ")[0], TAKEN)
    return any(sign in text for text in texts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_takes_a_server(case: Case, said: dict[str, list[str]]) -> None:
    if not case.may_run():
        return
    assert TAKEN in said[f"case {case.id}"][0], said[f"case {case.id}"]
    meant = {**ALWAYS[ENGINE], **case.meant}
    found = read_words(rows(ENGINE), case.plan().words, clap=False)
    assert {name: found.get(name, "(nothing)") for name in meant} == meant


def test_takes_every_flag_of_the_table_as_we_write_it(said: dict[str, list[str]]) -> None:
    refused = {name: refusals(said[f"flag {name}"]) for name, _ in FLAGS if not as_expected(name, said[f"flag {name}"])}
    assert not refused


def test_refuses_a_flag_that_there_is_not(said: dict[str, list[str]]) -> None:
    assert refusals(said["unknown"]) == [f"error: invalid argument: {UNKNOWN}"]


def test_takes_no_cut_off_flag(said: dict[str, list[str]]) -> None:
    assert refusals(said["cut off"]) == [f"error: invalid argument: {CUT_OFF}"]


class Client(t.NamedTuple):
    """Asks a running llama-server."""

    base: str
    key: str | None

    def get(self, path: str) -> t.Any:
        """Give the answer to a GET request."""
        request = urllib.request.Request(self.base + path)  # noqa: S310  on this machine
        if self.key:
            request.add_header("Authorization", f"Bearer {self.key}")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.loads(answer.read())


@contextmanager
def running(case: Case) -> Iterator[Client]:
    """Run the server of a case with the lab's smallest model."""
    plan = case.plan()
    folders = ["--tmpfs", "/run", "--mount", f"type=bind,src={tiny_gguf()},dst=/models/tiny/tiny.gguf,readonly"]
    command = ["run", "--detach", "--publish", "127.0.0.1::8080", *folders, "--entrypoint", "/bin/sh", image(ENGINE)]
    start = script(plan.words, plan.files).replace("timeout 10 ", "")
    container = docker(*command, "-c", start).stdout.strip()
    try:
        port = docker("port", container, "8080/tcp").stdout.split(":")[-1].strip()
        client = Client(f"http://127.0.0.1:{port}", (case.server.get("api_key") or [None])[0])
        _wait(client, container)
        yield client
    finally:
        docker("rm", "--force", container)


def _wait(client: Client, container: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            client.get("/health")
        except (OSError, urllib.error.HTTPError):
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"llama-server does not answer:\n{docker('logs', container).stdout[-2000:]}", pytrace=False)


def case(**entry: t.Any) -> Case:
    return Case("running", ENGINE, "cpu", entry)


def test_a_request_has_the_context_that_is_meant() -> None:
    with running(case(context_length=512, parallel=3)) as client:
        props = client.get("/props")
        assert (props["default_generation_settings"]["n_ctx"], props["total_slots"]) == (512, 3)


NAMES = ['it\'s "x" 100%h $HOME C:\\new\\ 東京 *? {a} <b> a=b ~', "-x --y"]


@pytest.mark.parametrize("name", NAMES)
def test_clients_see_the_name_that_is_meant(name: str) -> None:
    with running(case(served_model_name=name)) as client:
        assert [model["id"] for model in client.get("/v1/models")["data"]] == [name]


JINJA = '{# it\'s "x" 100%h $HOME C:\\new 東京 #}\n{% for m in messages %}{{ m.content }}\n{% endfor %}'


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"chat_template": TEMPLATE}, (TEMPLATES / TEMPLATE).read_text(encoding="utf-8")),
        ({"options": {"chat-template": JINJA}}, JINJA),
    ],
)
def test_uses_the_chat_template_that_is_meant(entry: dict[str, t.Any], text: str) -> None:
    with running(case(**entry)) as client:
        assert client.get("/props")["chat_template"].strip() == text.strip()


@pytest.mark.parametrize("key", ["it's\"$HOME`id`\\n100%h", "#no"])
def test_asks_for_the_key_that_is_meant(key: str) -> None:
    guarded = case(api_key=[key])
    if guarded.problems():
        assert key.startswith("#")  # a comment in the file of keys
        return
    with running(guarded) as client:
        assert client.get("/v1/models")["data"]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            client._replace(key=None).get("/props")
