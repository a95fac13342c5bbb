# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands `llmops bundle …`, as a user types them."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient
from llmops_serving import bundle_cli
from llmops_serving.bundle import words
from llmops_serving.bundle.words import wanted_by
from llmops_serving.cli import main
from tests.unit.llmops_serving.bundle.conftest import eventually, make, upstream_at

if TYPE_CHECKING:
    from pathlib import Path

    from llmops_serving import Site


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle."""
    root = tmp_path_factory.mktemp("cli")
    with upstream_at(root / "upstream") as running:
        return make(running, root / "bundle").folder


class Bundles(NamedTuple):
    """One that is sound, and one that is not."""

    sound: Path
    damaged: Path


@pytest.fixture
def bundles(made: Path, tmp_path: Path) -> Bundles:
    """Both."""
    damaged = tmp_path / "damaged"
    shutil.copytree(made, damaged)
    next(damaged.rglob("small.gguf")).unlink()
    return Bundles(made, damaged)


def test_create_says_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with upstream_at(tmp_path / "upstream") as running:
        sites: list[Site] = []

        def read(site: Site) -> Any:
            sites.append(site)
            return wanted_by([running.answer()])

        monkeypatch.setattr(words, "read_inventory", read)
        command = ["bundle", "create", "-i", "hosts.yml", "-o", str(tmp_path / "bundle"), "-l", "h1", "-e", "a=b"]
        assert main(command) == 0
        shown = capsys.readouterr()
        assert main([*command, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
    assert (sites[0].inventory, sites[0].limit, sites[0].extra_vars_options) == (["hosts.yml"], "h1", ("a=b",))
    for text in ("chat", "org/chat", "ghcr.io/org/app:v1", "sha256 of bundle.json", "llmops bundle load bundle"):
        assert text in shown.out
    assert "reading the inventory" in shown.err
    assert told["fetched_bytes"] == 0
    assert told["sha256"] in shown.out
    assert [model["name"] for model in told["models"]] == ["afar", "chat", "small"]
    assert told["images"][0]["digest"].startswith("sha256:")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--ca", "/nowhere"], "--ca /nowhere: holds no certificates that can be read"),
        ([], "inventory not found: nowhere.yml"),
    ],
)
def test_create_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str) -> None:
    assert main(["bundle", "create", "-i", "nowhere.yml", "-o", str(tmp_path / "bundle"), *more]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_load_serves_and_says_what_to_do(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "access.jsonl"
    answers: list[int] = []
    paths = ["/v2/", "/api/models/org/chat"]

    def wait() -> None:
        told = yaml.safe_load((tmp_path / "bundle-vars.yml").read_text())
        client = HttpClient(ca_data=told["serving_ca"])
        answers.extend(client.fetch(told["serving_hub_url"] + path)[0].status for path in paths)
        eventually(lambda: log.is_file() and log.read_text().count("\n") == len(paths))

    monkeypatch.setattr(bundle_cli, "_wait", wait)
    words = ["--state", str(tmp_path), "--listen", "127.0.0.1:0", "--access-log", str(log)]
    assert main(["bundle", "load", str(made), *words]) == 0
    shown = capsys.readouterr()
    assert answers == [200, 200]
    assert f"llmops apply -i INVENTORY -e @{tmp_path}/bundle-vars.yml" in shown.out
    assert "127.0.0.1 is this machine alone" in shown.out
    assert "files of the bundle are as they were made" in shown.err
    assert [json.loads(line)["path"] for line in log.read_text().splitlines()] == paths
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("load BUNDLE --no-serve", 2, "--no-serve leaves nothing to do without --push-registry"),
        ("load BUNDLE --listen 0.0.0.0:1", 2, "add --name"),
        ("load /nowhere", 2, "/nowhere holds no bundle"),
        ("verify /nowhere", 2, "/nowhere holds no bundle"),
        ("load DAMAGED", 1, "small.gguf: is missing"),
        ("verify DAMAGED", 1, "small.gguf: is missing"),
    ],
)
def test_refusals(bundles: Bundles, capsys: pytest.CaptureFixture[str], words: str, code: int, says: str) -> None:
    names = {"BUNDLE": str(bundles.sound), "DAMAGED": str(bundles.damaged)}
    assert main(["bundle", *[names.get(word, word) for word in words.split()]]) == code
    assert says in capsys.readouterr().err
    assert not (bundles.damaged / "bundle-vars.yml").exists()


def test_verify_says_that_all_is_well(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "verify", str(made)]) == 0
    assert "files are as they were made; bundle.json has sha256" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_service_that_is_stopped_end_it_in_peace(
    made: Path, tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "llmops_serving.cli", "bundle", "load", str(made)]
    with subprocess.Popen(  # noqa: S603  this package
        [*command, "--state", str(tmp_path), "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while "Ctrl-C ends it" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait(timeout=20) == 0
