# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it: it answers, something goes on behind it, and that is ended or ends by itself."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils._addresses import own_addresses
from ansible_collections.llmops.serving.plugins.module_utils._model_peer import parse_peers
from ansible_collections.llmops.serving.plugins.module_utils._model_share_run import ARGUMENTS
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import parse_models
from ansible_collections.llmops.serving.plugins.modules import model_share
from ansible_collections.llmops.serving.plugins.plugin_utils._certificate import certificate_for
from tests.unit.plugins.fake_peer import TOKEN
from tests.unit.plugins.fake_store import KEY, WANTED, a_store
from tests.unit.plugins.run_module import run_module

ADDRESS = (own_addresses() or [""])[0]
DATA = b"weights" * 100_000

needs_address = pytest.mark.skipif(not ADDRESS, reason="this machine has no address but loopback")


def start(root: Path, **words: t.Any) -> dict[str, t.Any]:
    pair = certificate_for([ADDRESS])
    store = a_store(root, x=DATA)
    code, told = run_module(
        "model_share", path=str(store.root), versions={"x": KEY}, addresses=[ADDRESS], token=TOKEN,
        certificate=pair.certificate, key=pair.key, **words,
    )  # fmt: skip
    assert code == 0, told
    url = f"https://[{ADDRESS}]" if ":" in ADDRESS else f"https://{ADDRESS}"
    told["words"] = {"name": "near", "urls": [f"{url}:{told['port']}"], "token": TOKEN, "manifests": told["manifests"],
                     "certificate": pair.certificate}  # fmt: skip
    return told


def stop(told: dict[str, t.Any]) -> bool:
    return bool(run_module("model_share", state="stopped", process=told["process"])[1]["changed"])


def lives(told: dict[str, t.Any]) -> bool:
    try:
        stat = Path(f"/proc/{told['process']['pid']}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@needs_address
def test_it_serves_behind_the_module_and_is_stopped(tmp_path: Path) -> None:
    told = start(tmp_path, clients=own_addresses())
    try:
        (peer,) = parse_peers([told["words"]])
        (spec,), _problems = parse_models({"x": WANTED})
        manifest = peer.manifest(spec)
        assert manifest is not None, peer.problem
        want = peer.download(manifest, manifest.files[0])
        _answer, body = peer.client.fetch(want.link()[0], want.auth)
        assert body == DATA
        environment = Path(f"/proc/{told['process']['pid']}/environ").read_bytes()
        command = Path(f"/proc/{told['process']['pid']}/cmdline").read_bytes()
        assert TOKEN.encode() not in environment + command
        assert b"PRIVATE KEY" not in environment + command
    finally:
        assert stop(told) is True
    assert stop(told) is False
    assert not peer_answers(told)


def peer_answers(told: dict[str, t.Any]) -> bool:
    (peer,) = parse_peers([told["words"]])
    return peer.reached()


@needs_address
def test_nobody_else_is_answered(tmp_path: Path) -> None:
    told = start(tmp_path, clients=["203.0.113.7"])
    try:
        assert not peer_answers(told)
    finally:
        stop(told)


@needs_address
def test_it_ends_by_itself(tmp_path: Path) -> None:
    told = start(tmp_path, idle=1)
    until = time.monotonic() + 30
    while lives(told) and time.monotonic() < until:
        time.sleep(0.05)
    assert not lives(told)


@needs_address
def test_the_result_repeats_no_secret(tmp_path: Path) -> None:
    told = start(tmp_path)
    stop(told)
    del told["words"]
    assert TOKEN not in str(told)
    assert "PRIVATE KEY" not in str(told)


def test_stopping_needs_to_know_what() -> None:
    code, told = run_module("model_share", state="stopped")
    assert (code, told["msg"]) == (1, "state is stopped but all of the following are missing: process")


def test_documentation_and_arguments_agree() -> None:
    documented = yaml.safe_load(model_share.DOCUMENTATION)["options"]
    assert list(documented) == list(ARGUMENTS)
    for name, option in ARGUMENTS.items():
        for key in ("type", "default", "required", "choices", "elements"):
            assert documented[name].get(key) == option.get(key), (name, key)


@needs_address
def test_documented_result(tmp_path: Path) -> None:
    told = start(tmp_path)
    stop(told)
    documented = set(yaml.safe_load(model_share.RETURN))
    assert documented == {"peer"} | set(told) - {"changed", "invocation", "words"}
    assert os.getpid() != told["process"]["pid"]
