# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`llmops plan --hardware` as a user runs it: inventories/gpu on machines whose nvidia-smi was recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.unit.plugins.course_hub import offer
from tests.unit.plugins.fake_hub import FakeHub, fake_hub

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "inventories/gpu/group_vars/serving.yml").read_text(encoding="utf-8"))
NAMES = [server["name"] for server in VALUES["course_servers"]]
# The hub of the tests has the heads of the files alone, so no checksum of a whole file can be right there.
MODELS = {
    name: {word: value for word, value in model.items() if word != "sha256"}
    | ({"revision": "c" * 40} if "{{" in model["revision"] else {})
    for name, model in VALUES["course_models"].items()
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    with fake_hub(tmp_path_factory.mktemp("hub")) as made:
        offer(made, MODELS)
        yield made


def plan(hub: FakeHub, machine: str, *words: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Plan for a recorded machine; the host is this one, which only runs the modules."""
    given = {
        "serving_hub_url": hub.url,
        "course_models": MODELS,
        "serving_images": {"aphrodite": "registry.example/aphrodite-openai:0.24.1"},
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        **variables,
    }
    command = [sys.executable, "-m", "llmops_serving.cli", "plan", "-i", "inventories/gpu", "--hardware"]
    command += [f"tests/fixtures/host/nvidia-smi/{machine}.csv", "-e", json.dumps(given), *words]
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


@pytest.mark.parametrize("machine", ["t4", "l40s", "a100", "h100"])
def test_it_prints_the_sum_of_every_server(hub: FakeHub, machine: str) -> None:
    done = plan(hub, machine, course_on=NAMES, serving_servers=_on_four_gpus())
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip() and line.split()[0] in NAMES}
    assert rows.keys() | {NAMES[0]} == {*NAMES}, done.stdout + done.stderr
    for name in NAMES:
        assert " fits " in (rows.get(name) or done.stdout)
    assert "12 KiB at once" in done.stdout
    # Driver 550 runs all but the image of llama.cpp.
    assert done.returncode == 1
    assert "1 problem, nothing was changed" in done.stdout
    assert "server-cuda-b11243 needs driver 570 or newer" in done.stdout
    assert "v0.30.0-cu129 is served in its place" in " ".join(done.stdout.split())


def _on_four_gpus() -> list[dict[str, Any]]:
    """The servers of the course side by side, for together they are more than one GPU's; TGI shares with nobody."""
    places = {"chat": "0", "embed": "0", "awq": "1", "sglang": "1", "aphrodite": "2", "small": "2", "tgi": "3"}
    return [{**server, "gpus": [places[server["name"]]]} for server in VALUES["course_servers"]]


def test_what_fits_is_no_change(hub: FakeHub) -> None:
    done = plan(hub, "gb200", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (document["ok"], document["changed"]) == (True, False)
    (host,) = document["hosts"]
    assert [fit["server"] for fit in host["fits"]] == VALUES["course_on"]
    assert host["servers"] == [], "nothing is said about this machine"


def test_an_apply_for_other_hardware_is_refused(hub: FakeHub) -> None:
    words = ["ansible-playbook", "site.yml", "-i", "inventories/gpu", "-e"]
    variables = {
        "serving_hardware": str(ROOT / "tests/fixtures/host/nvidia-smi/gb200.csv"), "serving_hub_url": hub.url,
        "course_models": MODELS, "ansible_become": False, "ansible_python_interpreter": sys.executable,
    }  # fmt: skip
    done = subprocess.run(  # noqa: S603
        [*words, json.dumps(variables)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "so only a plan can be made for it" in " ".join(done.stdout.split())


def test_a_file_that_is_not_there(hub: FakeHub) -> None:
    done = plan(hub, "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert "file of nvidia-smi's answer not found" in done.stderr
