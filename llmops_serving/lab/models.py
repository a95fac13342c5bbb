# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's models: trained on this machine within a minute or two, small, and right about what the probes ask.

`assets/make_models.py` does it inside a container with PyTorch; the result is kept until the script changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from typing import TYPE_CHECKING

from llmops_serving.lab import images
from llmops_serving.lab.build import ASSETS, LABEL, MARK
from llmops_serving.lab.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

    from llmops_serving.lab.progress import Reporter
    from llmops_serving.lab.state import Paths

SCRIPT = "make_models.py"
NAMES = (
    "tiny-chat", "tiny-chat-gguf", "tiny-chat-head16", "broken-chat-gguf", "minilm", "minilm-gguf", "tiny-rerank",
    "tiny-classify", "pickle",
)  # fmt: skip


ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108  # inside the container
    "PYTHONHASHSEED": "0",
    # A thread that waits must sleep: on a machine with other work spinning makes the training ten times slower.
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
}


def key() -> str:
    """Hash of what decides the models' bytes: the script and the image it runs in."""
    script = (ASSETS / SCRIPT).read_bytes()
    return hashlib.sha256(script + images.MODEL_BUILDER.digest.encode()).hexdigest()[:12]


def place(paths: Paths) -> Path:
    """Tell where the models are or will be."""
    return paths.models / key()


def ready(paths: Paths) -> bool:
    """Tell whether all models are there."""
    return all((place(paths) / name).is_dir() for name in NAMES)


def ensure(client: DockerClient, paths: Paths, reporter: Reporter) -> None:
    """Make the models unless they are there.

    Raises:
        LabError: the training script failed, or its result does not answer as it should.
    """
    if ready(paths):
        return
    final = place(paths)
    scratch = paths.models / f".{final.name}-{uuid.uuid4().hex[:6]}"
    scratch.mkdir(parents=True)
    container = None
    log = paths.logs / "models.log"
    try:
        with reporter.stage("models", "training the tiny models (about 90 s)") as stage:
            container = client.containers.create(
                images.MODEL_BUILDER.tag,
                ["python3", "/make/make_models.py", "/out"],
                entrypoint=[],
                user=f"{os.geteuid()}:{os.getegid()}",
                environment=ENVIRONMENT,
                network_mode="none",
                volumes={
                    str(ASSETS): {"bind": "/make", "mode": "ro"},
                    str(scratch): {"bind": "/out", "mode": "rw"},
                },
                labels={LABEL: "build"},
            )
            container.start()
            with log.open("wb") as sink:
                for chunk in container.logs(stream=True, follow=True):
                    sink.write(chunk)
                    for line in chunk.decode("utf-8", "replace").splitlines():
                        if line.startswith(MARK):
                            stage.note(line.removeprefix(MARK))
            status = int(container.wait()["StatusCode"])
            if status != 0:
                tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-8:])
                raise LabError(f"making the models failed (exit {status}); {log} ends with:\n{tail}")
            scratch.replace(final)
        for stale in paths.models.iterdir():
            if stale != final:
                shutil.rmtree(stale, ignore_errors=True)
    finally:
        if container is not None:
            with contextlib.suppress(Exception):
                container.remove(force=True)
        shutil.rmtree(scratch, ignore_errors=True)
