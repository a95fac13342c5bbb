# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of the host: its disk, its registry, its ports, its power, Docker, the engine's container, its GPUs."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from tests.faults.bench import LARGE, NO_WAY, REGISTRY, SERVERS, STORE, large_model
from tests.faults.runs import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.bench import Bench
    from tests.faults.fault_host import FaultHost

GPU_FILES = ROOT / "molecule/shared/gpu/files"
#: What the driver's own program says between the update of a driver and the next boot.
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.163"


def disk_full(bench: Bench) -> None:
    """No room for the model: refused before its first byte, with numbers. None for the generation: left alone."""
    with small_disk(bench.host, STORE, "90m", carry_back=False):
        want = bench.variables(models=large_model())
        bench.refused(want, r"serving_model_dir|disk", r"[\d.]+ [MG]iB", "free")
        assert not bench.host.run(f"ls {STORE}/.partial")
        assert not [path for path in bench.host.look().store if path.startswith(LARGE)]
    with small_disk(bench.host, SERVERS, "1m") as fill:
        fill()
        bench.refused(bench.variables(context_length=768), "No space left", "/var/lib/llmops")
    bench.changes_nothing(bench.variables())


def registry_down(bench: Bench) -> None:
    """No registry: what runs is left alone, what is there is used, and only what must be pulled is refused."""
    image = bench.image_by_digest(bench.host.look())
    missing = image.partition("@")[0] + ":server-none"
    named = bench.variables(image=image, context_length=768)
    with no_way_to_registry(bench.host):
        bench.refused(bench.variables(image=missing), REGISTRY, r"serving_servers\['chat'\]\.image|serving_registries")
        bench.changes_nothing(bench.variables())
        # By its digest it is here.
        bench.site.apply(named).went_well(changed=True)
        bench.host.look().must_serve().must_run("--ctx-size 768")
    # Gone between the preflight and the pull of the tag.
    before = bench.host.look()
    pull = bench.host.freeze("docker pull")
    run = bench.site.start(bench.variables())
    pull.wait()
    with no_way_to_registry(bench.host):
        pull.thaw()
        run.told().failed("pull", REGISTRY, "serving_registries")
    bench.host.look().must_be_untouched_since(before)
    bench.served()


def port_taken(bench: Bench) -> None:
    """Another program has the port: named by the preflight, and, taken a moment later, before anything is stopped."""
    bench.host.start("exec -a port-thief python3 -m http.server 8090 --bind 127.0.0.1")
    listening = "ss -ltn | grep -c 127.0.0.1:8090"
    bench.host.wait_for("the thief's port", lambda: bench.host.run(listening, check=False).strip() == "1")
    try:
        said = bench.refused(bench.variables(port=8090), r"serving_servers\['chat'\]\.port: 8090", r"process \d+")
        assert re.search("python3", said.reasons)
        bench.refused_by_role(bench.variables(port=8090), "8090", "process", "set port of the server")
    finally:
        bench.host.run("pkill -f 'http.server [8]090'")
    bench.changes_nothing(bench.variables())


def out_of_memory(bench: Bench) -> None:
    """The kernel kills the engine while it loads: told as that, with what would fit, and the old one comes back."""
    # 128 requests of 4096 tokens take 512 MiB.
    bench.host.limit_memory(bench.host.used_mib() + 200)
    try:
        bench.put_back(bench.variables(context_length=4096, parallel=128), "(?i)memory|killed|137")
    finally:
        bench.host.limit_memory(0)
    bench.changes_nothing(bench.variables())


def host_reboot(bench: Bench) -> None:
    """An orderly reboot and a power cut: everything serves again, and nobody ran Ansible."""
    before = bench.host.look()
    for fault in (bench.host.reboot, bench.host.power_cut):
        fault()
        after = bench.host.wait_until_served().must_serve()
        assert after.current == before.current
        order = bench.host.run("systemctl show -p After --value llmops-chat.service").split()
        assert {"docker.service", "network-online.target"} <= set(order)
    bench.changes_nothing(bench.variables())


def docker_restart(bench: Bench) -> None:
    """Docker restarts, and Docker is killed: the server comes back by itself."""
    before = bench.host.look()
    for fault in ("systemctl restart docker", "systemctl kill --signal KILL docker"):
        bench.host.run(fault)
        bench.host.wait_for("Docker", lambda: bench.host.run("docker info -f ok 2>&1", check=False).strip() == "ok")
        assert bench.host.wait_until_served().must_serve().current == before.current
    bench.changes_nothing(bench.variables())


def container_killed(bench: Bench) -> None:
    """kill -9 of the container, and of the engine in it: systemd starts it again."""
    for fault in ("docker kill --signal KILL llmops-chat", "pkill -KILL llama-server"):
        before = bench.host.look()
        bench.host.run(fault)
        bench.host.wait_for(
            "another container", lambda old=before: bench.host.look().container not in {"", old.container}
        )
        assert bench.host.wait_until_served().must_serve().current == before.current
    bench.changes_nothing(bench.variables())


def gpu_missing(bench: Bench) -> None:
    """No GPU, a driver that does not match its library, and layers asked onto a GPU that there is not."""
    on_gpus = bench.variables() | {"serving_accelerator": "cuda"}
    bench.refused(on_gpus, "serving_accelerator: cuda", "cpu|driver")
    with gpus_without_driver(bench.host):
        bench.refused(on_gpus, "the driver's module is .* and its library of another version", "restart the host")
    bench.put_back(
        bench.variables(options={"n-gpu-layers": 99}), "found no GPU and computes on the CPU", "n-gpu-layers"
    )
    bench.changes_nothing(bench.variables())


@contextlib.contextmanager
def gpus_without_driver(host: FaultHost) -> Iterator[None]:
    """Let the host look as if it had GPUs whose driver does not match its library (a stand-in: the lab has no GPU)."""
    for name, place, mode in (
        ("gpus.csv", "/etc/lab-gpu/", "0644"),
        ("nvidia-smi", "/usr/bin/", "0755"),
        ("lab-gpu", "/usr/local/sbin/", "0755"),
    ):
        host.write(place + name, (GPU_FILES / name).read_text(encoding="utf-8"), mode)
    host.write("/etc/lab-gpu/fault", f"18\n{MISMATCH}\n")
    host.run("lab-gpu")
    try:
        yield
    finally:
        # Without GPUs it takes away what it made, but for what it has mounted.
        host.run("sed -i 1q /etc/lab-gpu/gpus.csv && lab-gpu; umount /sys/bus/pci/devices /proc/driver")
        host.run("rm -rf /etc/lab-gpu /run/lab-gpu /usr/local/sbin/lab-gpu /usr/bin/nvidia-smi")


# -- parts of them -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(host: FaultHost, folder: str, size: str, *, carry_back: bool = True) -> Iterator[Callable[[], None]]:
    """Put a small file system in the place of a folder, with what is in it; gives what fills it up.

    What is there at the end is carried back, but for what fills it.
    """
    host.run(
        f"mkdir -p /mnt/small && mount -t tmpfs -o size={size} small /mnt/small && cp -a {folder}/. /mnt/small/ "
        f"&& mount --bind /mnt/small {folder}"
    )

    def fill() -> None:
        host.run("for size in 1M 4096 1; do dd if=/dev/zero bs=$size >>/mnt/small/filler 2>/dev/null; done; true")

    try:
        yield fill
    finally:
        # Those who hold something of it open keep it until they end.
        host.run(
            f"rm -f /mnt/small/filler && umount -l {folder}"
            + (f" && find {folder} -mindepth 1 -delete && cp -a /mnt/small/. {folder}/" if carry_back else "")
            + " && umount -l /mnt/small"
        )


@contextlib.contextmanager
def no_way_to_registry(host: FaultHost) -> Iterator[None]:
    """Let nothing get to the registry's port."""
    host.run(f"iptables -I {NO_WAY}")
    try:
        yield
    finally:
        host.run(f"iptables -D {NO_WAY}")
