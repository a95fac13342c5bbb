# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Prove that a container sees the GPUs of its host, and remember the proof as long as nothing it rests on changes."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run
from ansible_collections.llmops.serving.plugins.module_utils._docker import image_digest, pull
from ansible_collections.llmops.serving.plugins.module_utils._doctor import Diagnosis, last_words, matched
from ansible_collections.llmops.serving.plugins.module_utils._gpu_words import gpu_words
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import read_text
from ansible_collections.llmops.serving.plugins.module_utils._unit import write_atomically

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RECORD = Path("/var/lib/llmops/gpu-proof.json")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SPEC_DIRS = (Path("/etc/cdi"), Path("/run/cdi"))

#: As the servers run: no network, no capability, nothing to write to.
HARDENED = ["--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only"]
ASK = ["nvidia-smi", "-L"]
# Without persistence mode the driver initialises each GPU first.
_TIMEOUT = 120.0
# Docker hears of a change within milliseconds.
_NOTICED = 0.5
_UUID = re.compile(r"\(UUID: (GPU-[0-9a-fA-F-]+)\)")

# Literal messages of Docker, libnvidia-container, the toolkit and nvidia-smi, the most specific first, as `_doctor`
# takes them.
RULES: list[dict[str, t.Any]] = [
    {
        "name": "hook-unknown",
        "pattern": r'could not select device driver ""? with capabilities: \[\[gpu',
        "cause": "Docker knows no driver for --gpus: it was started before NVIDIA's hook was installed",
        "remedy": "set nvidia_container_toolkit_way: auto, or restart Docker on the host: systemctl restart docker",
        "source": "moby daemon/devices.go; nvidia-docker issue 1034, nvidia-container-toolkit issues 854, 871",
    },
    {
        "name": "cdi-off",
        "pattern": r'could not select device driver "cdi"|CDI (?:device injection )?is not enabled|CDI is disabled',
        "cause": "CDI is switched off in Docker",
        "remedy": "set nvidia_container_toolkit_way: cdi, which switches it on, or runtime",
        "source": "moby daemon/cdi.go; nvidia-container-toolkit issue 434",
    },
    {
        "name": "cdi-device-unknown",
        "pattern": r"unresolvable CDI devices? (?P<device>[^\s:,]+(?:, ?nvidia[^\s:,]+)*)",
        "cause": "no CDI specification on the host names {device}",
        "remedy": "see why on the host: journalctl -u nvidia-cdi-refresh, nvidia-ctk cdi list; or set "
        "nvidia_container_toolkit_way: runtime",
        "source": "moby daemon/cdi.go; nvidia-container-toolkit issues 146, 1239",
    },
    {
        "name": "runtime-unknown",
        "pattern": r"unknown or invalid runtime name: (?P<name>\S+)",
        "cause": "Docker knows no runtime {name}",
        "remedy": "see whether /etc/docker/daemon.json still has runtimes.nvidia, then run systemctl reload docker",
        "source": "moby daemon/runtime_unix.go",
    },
    {
        "name": "runtime-missing",
        "pattern": r'"?nvidia-container-runtime"?: (?:executable file not found|no such file)',
        "cause": "NVIDIA's runtime is in daemon.json and not on the host",
        "remedy": "set nvidia_container_toolkit_enabled: true and apply again, or take runtimes.nvidia out of it",
        "source": "moby daemon; runc",
    },
    {
        "name": "hook-refused",
        "pattern": r"invoking the NVIDIA Container Runtime Hook directly .* is not supported",
        "cause": "the toolkit is configured for its runtime, and --gpus calls its hook",
        "remedy": "set nvidia_container_toolkit_way: auto",
        "source": "nvidia-container-toolkit cmd/nvidia-container-runtime-hook/hook_config.go",
    },
    {
        "name": "driver-mismatch-seen",
        "pattern": r"Driver/library version mismatch",
        "cause": "the loaded kernel module is of another version than the driver's libraries",
        "remedy": "restart the host, so that the module of the installed driver is loaded",
        "source": "NVML, NVML_ERROR_LIB_RM_VERSION_MISMATCH",
    },
    {
        "name": "driver-not-loaded",
        "pattern": r"driver not loaded|couldn't communicate with the NVIDIA driver",
        "cause": "NVIDIA's kernel module is not loaded",
        "remedy": "restart the host, and if it stays so, let the role nvidia_driver install the driver (Secure Boot "
        "refuses unsigned modules)",
        "source": "nvidia-container-toolkit issues 260, 1269; libnvidia-container",
    },
    {
        "name": "driver-library-missing",
        "pattern": r"libnvidia-ml\.so(?:\.1)?: cannot open|couldn't find libnvidia-ml|ERROR_LIBRARY_NOT_FOUND",
        "cause": "the driver's library libnvidia-ml.so does not reach the container",
        "remedy": "let the role nvidia_driver install the whole driver, then write the CDI specification anew: "
        "systemctl restart nvidia-cdi-refresh",
        "source": "nvidia-docker issue 1711; libnvidia-container",
    },
    {
        "name": "selinux",
        "pattern": r"Failed to initialize NVML: Insufficient Permissions",
        "cause": "SELinux keeps containers from the GPUs",
        "remedy": "allow it on the host: setsebool -P container_use_devices on",
        "source": "nvidia-container-toolkit, troubleshooting",
    },
    {
        "name": "gpus-taken-away",
        "pattern": r"Failed to initialize NVML: Unknown Error",
        "cause": "the container lost its GPUs: those that NVIDIA's hook gave go when systemd reloads its units",
        "remedy": "set nvidia_container_toolkit_way: auto, and nvidia_container_toolkit_version to 1.18.0 or newer",
        "source": "nvidia-container-toolkit issues 48, 251, 1227",
    },
    {
        "name": "image-wants-newer-cuda",
        "pattern": r"unsatisfied condition: (?P<condition>[^,\s]+)",
        "cause": "the image wants {condition}, and the driver is older",
        "remedy": "set nvidia_container_toolkit_image to one without that condition, or install a newer driver",
        "source": "libnvidia-container, NVIDIA_REQUIRE_CUDA",
    },
    {
        "name": "driver-not-given",
        "pattern": r'exec: "nvidia-smi": executable file not found|nvidia-smi: not found',
        "cause": "the container got nothing of the driver, not even nvidia-smi",
        "remedy": "see whether the CDI specification names nvidia-smi: remove one written by hand and apply again",
        "source": "runc libcontainer",
    },
    {
        "name": "no-devices",
        "pattern": r"No devices were found",
        "cause": "the container has the driver and no GPU",
        "remedy": "remove CDI specifications that were written by hand and apply again, or set "
        "nvidia_container_toolkit_way: runtime",
        "source": "nvidia-smi",
    },
]
_UNKNOWN_REMEDY = "see the last words of the container above, and try nvidia_container_toolkit_way: runtime"
_FEWER_REMEDY = (
    "the CDI specification may be older than the GPUs: run systemctl restart nvidia-cdi-refresh on the host, and "
    "remove specifications that were written by hand"
)


class ProofError(Exception):
    """Containers do not see the GPUs; `diagnosis` says why and what to do, `log` what was printed."""

    def __init__(self, diagnosis: Diagnosis, log: list[str]) -> None:
        """Keep both; as text it is one line."""
        self.diagnosis = diagnosis
        self.log = log
        super().__init__(f"containers do not see the GPUs: {diagnosis.cause}: {diagnosis.remedy}")


def ground(host: Mapping[str, t.Any], way: str) -> dict[str, t.Any]:
    """Tell what a proof rests on: once any of it changes, it must be repeated.

    Args:
        host: The facts, as `host_facts` gives them.
        way: One of `_gpu_words.WAYS`.

    Returns:
        Plain values: the boot, versions, the way and the UUIDs of the GPUs.
    """
    return {
        "boot": read_text(BOOT_ID) or "",
        "driver": host["nvidia"]["module"],
        "toolkit": host["toolkit"]["version"],
        "docker": host["docker"]["version"],
        "way": way,
        "gpus": wanted_gpus(host),
    }


def wanted_gpus(host: Mapping[str, t.Any]) -> list[str]:
    """List the UUIDs of the GPUs that work, as the driver numbers them."""
    return [gpu["uuid"] for gpu in host["gpus"] if gpu["uuid"] and not gpu.get("lost")]


def remembered() -> dict[str, t.Any]:
    """Give what the last proof rested on; {} without one."""
    try:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def remember(rests_on: Mapping[str, t.Any]) -> None:
    """Write down what a proof rests on."""
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(RECORD, json.dumps(rests_on, indent=2, sort_keys=True) + "\n", 0o644)


def command(way: str, image: str) -> list[str]:
    """Give the command whose answer is the proof."""
    return ["docker", "run", "--rm", "--pull", "never", *HARDENED, *gpu_words(way, ["all"]), image, *ASK]


def prove(way: str, image: str, wanted: Sequence[str]) -> list[str]:
    """Start a container and let it list the GPUs it sees.

    Args:
        way: One of `_gpu_words.WAYS`.
        image: The image's full name; it is fetched if the host does not have it.
        wanted: The UUIDs that it must see.

    Returns:
        The UUIDs it saw.

    Raises:
        ProofError: It saw none, or not all of them.
    """
    digest = _image(image)
    try:
        done = run(command(way, digest), timeout=_TIMEOUT, check=False)
        if done.code and "unresolvable CDI devices" in done.err and nudge():
            done = run(command(way, digest), timeout=_TIMEOUT, check=False)
    except CommandError as exc:
        raise ProofError(Diagnosis(str(exc), _UNKNOWN_REMEDY), []) from exc
    log = [line for line in (done.out + done.err).splitlines() if line.strip()]
    if done.code:
        raise ProofError(matched(log, RULES) or Diagnosis(last_words(log) or "no message", _UNKNOWN_REMEDY), log)
    seen = _UUID.findall(done.out)
    missing = [uuid for uuid in wanted if uuid not in seen]
    if missing or not seen:
        found = matched(log, RULES) if not seen else None
        cause = f"{len(missing)} of {len(wanted)} are missing in a container: {', '.join(missing)}"
        raise ProofError(found or Diagnosis(cause, _FEWER_REMEDY), log)
    return seen


def nudge() -> bool:
    """Make Docker read the CDI specifications again, and tell whether there is a place for any.

    Docker misses a file that was renamed into place, as tools that write in one step do it: its library watches for
    files that are written, renamed away or removed (container-device-interface, pkg/cdi/cache.go, pull request 344).
    """
    places = [place for place in SPEC_DIRS if place.is_dir()]
    for place in places:
        handle, name = tempfile.mkstemp(dir=str(place), prefix=".llmops-")
        os.close(handle)
        Path(name).unlink()
    time.sleep(_NOTICED if places else 0)
    return bool(places)


def _image(image: str) -> str:
    digest = image_digest(image)
    if digest is not None:
        return digest
    try:
        return pull(image)
    except CommandError as exc:
        remedy = "set nvidia_container_toolkit_image to one that this host can fetch, or serving_registries to a mirror"
        raise ProofError(Diagnosis(f"the image {image} cannot be fetched ({exc})", remedy), []) from exc
