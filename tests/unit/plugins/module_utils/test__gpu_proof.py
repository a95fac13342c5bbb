# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of nvidia-smi 550.163, and messages of Docker and NVIDIA's tools as they were reported."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _docker, _gpu_proof
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed
from ansible_collections.llmops.serving.plugins.module_utils._gpu_proof import (
    RULES,
    ProofError,
    command,
    ground,
    prove,
    remember,
    remembered,
)
from ansible_collections.llmops.serving.plugins.module_utils._gpu_words import WAYS

if TYPE_CHECKING:
    from pathlib import Path

UUIDS = [f"GPU-01000100-0000-0000-0000-00000000000{index}" for index in range(2)]
LIST = "".join(f"GPU {index}: NVIDIA H100 80GB HBM3 (UUID: {uuid})\n" for index, uuid in enumerate(UUIDS))
MIG = LIST.replace("000)\n", "000)\n  MIG 1g.10gb     Device  0: (UUID: MIG-1f2a3b4c-0000-0000-0000-000000000000)\n", 1)
IMAGE = "mirror:5000/library/debian:12.12-slim"
DIGEST = "mirror:5000/library/debian@sha256:" + "1" * 64


@dataclass
class Docker:
    """Plays docker."""

    answer: Completed = field(default_factory=lambda: Completed(0, LIST, ""))
    has: bool = True
    #: what the next container says, before `answer`
    first: list[Completed] = field(default_factory=list)
    refuses: str = ""
    lines: list[str] = field(default_factory=list)

    def run(self, argv: list[str], timeout: float = 60, check: bool = True) -> Completed:
        self.lines.append(" ".join(argv))
        if argv[1] == "pull":
            if self.refuses:
                raise CommandError(f"docker pull --quiet: {self.refuses}, within {timeout:g} s")
            self.has = True
            return Completed(0, "", "")
        if argv[1] == "image":
            return Completed(0, json.dumps([{"RepoDigests": [DIGEST]}]), "") if self.has else Completed(1, "[]", "")
        assert not check
        return self.first.pop() if self.first else self.answer


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Docker:
    played = Docker()
    monkeypatch.setattr(_gpu_proof, "SPEC_DIRS", (tmp_path / "etc", tmp_path / "run"))
    monkeypatch.setattr(_gpu_proof, "_NOTICED", 0)
    monkeypatch.setattr(_gpu_proof, "run", played.run)
    monkeypatch.setattr(_docker, "run", played.run)
    return played


@pytest.mark.parametrize("way", WAYS)
def test_a_container_is_as_closed_as_a_server(way: str) -> None:
    line = " ".join(command(way, DIGEST))
    for words in ("--rm", "--network none", "--cap-drop ALL", "--security-opt no-new-privileges", "--read-only"):
        assert words in line
    assert line.endswith(f"{DIGEST} nvidia-smi -L")
    assert "--privileged" not in line


@pytest.mark.parametrize("answer", [LIST, MIG])
def test_tells_which_gpus_a_container_sees(docker: Docker, answer: str) -> None:
    docker.answer = Completed(0, answer, "")
    assert prove("cdi", IMAGE, UUIDS) == UUIDS
    assert docker.lines[-1].startswith("docker run --rm --pull never")
    assert f"--device nvidia.com/gpu=all {DIGEST}" in docker.lines[-1]
    assert not any("docker pull" in line for line in docker.lines)


def test_an_image_that_is_missing_is_fetched(docker: Docker) -> None:
    docker.has = False
    assert prove("runtime", IMAGE, UUIDS) == UUIDS
    assert f"docker pull --quiet {IMAGE}" in docker.lines
    assert "--runtime nvidia --env NVIDIA_VISIBLE_DEVICES=all" in docker.lines[-1]


def test_an_image_that_cannot_be_fetched_is_told(docker: Docker) -> None:
    docker.has, docker.refuses = False, "manifest unknown"
    with pytest.raises(ProofError, match="set nvidia_container_toolkit_image to one that") as caught:
        prove("cdi", IMAGE, UUIDS)
    assert "manifest unknown" in str(caught.value)


def test_gpus_that_a_container_does_not_see_are_named(docker: Docker) -> None:
    docker.answer = Completed(0, LIST.splitlines()[0] + "\n", "")
    with pytest.raises(ProofError) as caught:
        prove("cdi", IMAGE, UUIDS)
    assert f"1 of 2 are missing in a container: {UUIDS[1]}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_container_that_sees_nothing_proves_nothing(docker: Docker) -> None:
    docker.answer = Completed(0, "", "")
    with pytest.raises(ProofError):
        prove("cdi", IMAGE, [])


UNRESOLVED = Completed(125, "", "docker: CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all")


def test_docker_is_made_to_look_again_at_specifications(docker: Docker, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    docker.first = [UNRESOLVED]
    assert prove("cdi", IMAGE, UUIDS) == UUIDS
    assert len([line for line in docker.lines if line.startswith("docker run")]) == 2
    # What made it look is gone.
    assert list((tmp_path / "etc").iterdir()) == []


@pytest.mark.parametrize(("places", "runs"), [([], 1), (["etc"], 2)])
def test_a_device_that_no_specification_names_is_told(
    docker: Docker, tmp_path: Path, places: list[str], runs: int
) -> None:
    for place in places:
        (tmp_path / place).mkdir()
    docker.answer = UNRESOLVED
    with pytest.raises(ProofError, match="no CDI specification on the host names"):
        prove("cdi", IMAGE, UUIDS)
    assert len([line for line in docker.lines if line.startswith("docker run")]) == runs


FAILURES: list[tuple[str, str, str]] = [
    ('docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
     "started before NVIDIA's hook was installed", "restart Docker"),
    ('docker: Error response from daemon: could not select device driver "cdi" with capabilities: []',
     "CDI is switched off in Docker", "nvidia_container_toolkit_way: cdi"),
    ("docker: Error response from daemon: CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all",
     "no CDI specification on the host names nvidia.com/gpu=all", "journalctl -u nvidia-cdi-refresh"),
    ("docker: Error response from daemon: unknown or invalid runtime name: nvidia", "Docker knows no runtime nvidia",
     "systemctl reload docker"),
    ('runc create failed: exec: "nvidia-container-runtime": executable file not found in $PATH',
     "NVIDIA's runtime is in daemon.json and not on the host", "nvidia_container_toolkit_enabled: true"),
    ("nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
     "kernel module is not loaded", "restart the host"),
    ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "kernel module is not loaded",
     "restart the host"),
    ("load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory",
     "libnvidia-ml.so does not reach the container", "role nvidia_driver"),
    ("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.", "libnvidia-ml.so does not reach",
     "role nvidia_driver"),
    ("Failed to initialize NVML: Unknown Error", "the container lost its GPUs", "nvidia_container_toolkit_way: auto"),
    ("Failed to initialize NVML: Insufficient Permissions", "SELinux keeps containers", "container_use_devices"),
    ("Failed to initialize NVML: Driver/library version mismatch", "of another version", "restart the host"),
    ("nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver",
     "the image wants cuda>=13.0", "nvidia_container_toolkit_image"),
    ("invoking the NVIDIA Container Runtime Hook directly (e.g. specifying the docker --gpus flag) is not supported",
     "--gpus calls its hook", "nvidia_container_toolkit_way: auto"),
    ('exec: "nvidia-smi": executable file not found in $PATH: unknown', "not even nvidia-smi", "apply again"),
    ("No devices were found", "has the driver and no GPU", "nvidia_container_toolkit_way: runtime"),
    ("docker: Error response from daemon: something new failed", "something new failed", "last words"),
    ("", "no message", "last words"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "cause", "remedy"), FAILURES)
def test_tells_cause_and_remedy(docker: Docker, said: str, cause: str, remedy: str) -> None:
    docker.answer = Completed(125, "", said)
    with pytest.raises(ProofError) as caught:
        prove("cdi", IMAGE, UUIDS)
    assert cause in caught.value.diagnosis.cause
    assert remedy in caught.value.diagnosis.remedy
    assert str(caught.value).startswith("containers do not see the GPUs: ")
    assert "\n" not in str(caught.value)
    assert "{" not in str(caught.value)


def test_every_rule_is_tried() -> None:
    unused = [rule["pattern"] for rule in RULES if not any(re.search(rule["pattern"], row[0]) for row in FAILURES)]
    assert not unused


def test_docker_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, docker: Docker) -> None:
    del docker

    def missing(argv: list[str], **_options: Any) -> Completed:
        raise CommandError(f"{argv[0]} is not installed")

    monkeypatch.setattr(_gpu_proof, "run", missing)
    with pytest.raises(ProofError, match="docker is not installed"):
        prove("cdi", IMAGE, UUIDS)


# -- what a proof rests on


HOST: dict[str, Any] = {
    "nvidia": {"module": "550.163.01"},
    "toolkit": {"version": "1.20.0"},
    "docker": {"version": "28.5.2"},
    "gpus": [{"uuid": uuid, "lost": False} for uuid in UUIDS],
}
CHANGES: list[dict[str, Any]] = [
    {"nvidia": {"module": "580.65.06"}},
    {"toolkit": {"version": "1.20.1"}},
    {"docker": {"version": "29.2.0"}},
    {"gpus": HOST["gpus"][:1]},
    {"gpus": [HOST["gpus"][0], HOST["gpus"][1] | {"lost": True}]},
]


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(_gpu_proof, "RECORD", tmp_path / "var/gpu-proof.json")
    monkeypatch.setattr(_gpu_proof, "BOOT_ID", tmp_path / "boot_id")
    (tmp_path / "boot_id").write_text("one\n")
    return tmp_path


def test_a_proof_is_remembered(places: Path) -> None:
    assert remembered() == {}
    remember(ground(HOST, "cdi"))
    assert remembered() == ground(HOST, "cdi")
    assert (places / "var/gpu-proof.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
@pytest.mark.usefixtures("places")
def test_a_proof_ends_with_what_it_rests_on(change: dict[str, Any]) -> None:
    remember(ground(HOST, "cdi"))
    assert remembered() != ground(HOST | change, "cdi")


def test_a_proof_ends_with_the_boot_and_with_the_way(places: Path) -> None:
    remember(ground(HOST, "cdi"))
    assert remembered() != ground(HOST, "runtime")
    (places / "boot_id").write_text("two\n")
    assert remembered() != ground(HOST, "cdi")


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_record_that_is_none_is_no_proof(places: Path, text: str) -> None:
    (places / "var").mkdir()
    (places / "var/gpu-proof.json").write_text(text)
    assert remembered() == {}
