# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with GPU hosts: made-up trees, and recorded answers of nvidia-smi."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._gpu_health import gpu_choice_problems, gpu_health
from ansible_collections.llmops.serving.plugins.module_utils._host import host_facts
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import Answer, parse_list, parse_smi
from tests.unit.plugins.module_utils.test__host_gpu import CLOSED_MODULE, device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIBRARY = "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.163.01"
RELEASE = "6.1.0-28-amd64"
SMI = (
    "0, GPU-a, NVIDIA L40S, 49152, 48640, 8.9, 550.163.01, Disabled, 00000000:3B:00.0\n"
    "1, GPU-b, NVIDIA L40S, 49152, 48640, 8.9, 550.163.01, Disabled, 00000000:5E:00.0\n"
)
LOST = (
    "Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost.  Reboot the system to recover this GPU\n"
)
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.200\n"
SPEC = "kind: nvidia.com/gpu\ndevices:\n- name: '0'\n  containerEdits:\n    deviceNodes:\n    - path: /dev/nvidia0\n"


class Tree:
    """A made-up host."""

    def __init__(self, root: Path) -> None:
        """Begin with a bare one that has a kernel."""
        self.root = root
        self.write("proc/sys/kernel/osrelease", RELEASE)
        self.write("proc/sys/kernel/hostname", "gpu1")
        self.answers: dict[str, str] = {}
        self.failure = Answer(9, "NVIDIA-SMI has failed because it couldn't communicate with the driver.\n")

    def write(self, name: str, text: str = "") -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def gpus(self, driver: str | None, count: int = 2) -> None:
        for address in ("0000:3b:00.0", "0000:5e:00.0")[:count]:
            device(self.root, address, kind="0x030200", driver=driver)

    def driver(self, smi: str = SMI, library: str = LIBRARY) -> None:
        self.write("usr/bin/nvidia-smi")
        self.write(library)
        self.write("proc/driver/nvidia/version", CLOSED_MODULE)
        self.write(f"lib/modules/{RELEASE}/modules.dep", "updates/dkms/nvidia.ko.xz:\n")
        self.answers["--query-gpu"] = smi

    def facts(self) -> dict[str, Any]:
        def ask(argv: Sequence[str], timeout: float) -> Answer:
            assert timeout > 0
            said = self.answers.get(argv[1].partition("=")[0])
            return self.failure if said is None else Answer(0, said)

        return host_facts(str(self.root), ask=ask)


def healthy(tree: Tree) -> None:
    tree.gpus("nvidia")
    tree.driver()
    tree.write("run/cdi/nvidia.yaml", SPEC)
    tree.write("dev/nvidia0")


def no_gpu(tree: Tree) -> None:
    """Things of NVIDIA's that are no GPUs."""
    device(tree.root, "0000:04:00.0", kind="0x068000", driver="nvidia-nvswitch")
    device(tree.root, "0000:05:00.0", kind="0x020700", driver="mlx5_core")
    device(tree.root, "0000:06:00.0", kind="0x040300", driver="snd_hda_intel")


def no_driver(tree: Tree) -> None:
    tree.gpus(None)


def no_library(tree: Tree) -> None:
    """What an image with nvidia-smi and nothing else says, as recorded."""
    tree.gpus(None)
    tree.write("usr/bin/nvidia-smi")
    recorded = Path(__file__).parents[3] / "fixtures/host/nvidia-smi/no-driver.txt"
    tree.failure = Answer(12, recorded.read_text(encoding="utf-8"))


def nouveau(tree: Tree) -> None:
    tree.gpus("nouveau")


def nouveau_and_nvidia(tree: Tree) -> None:
    """Installed, and the old one holds it until the restart."""
    tree.gpus("nouveau")
    tree.write("usr/bin/nvidia-smi")
    tree.write(f"lib/modules/{RELEASE}/modules.dep", "updates/dkms/nvidia.ko.xz:\n")


def virtual_machine(tree: Tree) -> None:
    tree.gpus("vfio-pci")


def not_loaded(tree: Tree) -> None:
    tree.gpus(None)
    tree.write("usr/bin/nvidia-smi")
    tree.write(f"lib/modules/{RELEASE}/modules.dep", "updates/dkms/nvidia.ko.xz:\n")


def other_kernel(tree: Tree) -> None:
    tree.gpus(None)
    tree.write("usr/bin/nvidia-smi")
    tree.write("lib/modules/6.1.0-27-amd64/modules.dep", "updates/dkms/nvidia.ko.xz:\n")


def upgraded(tree: Tree) -> None:
    """As after an unattended upgrade: nvidia-smi is of the new library already."""
    tree.gpus("nvidia")
    tree.driver(library="usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.200.02")
    del tree.answers["--query-gpu"]
    tree.failure = Answer(18, MISMATCH)


def upgraded_elsewhere(tree: Tree) -> None:
    """The new library lies where nobody looks, and nvidia-smi says so."""
    upgraded(tree)
    (tree.root / "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.200.02").unlink()


def upgraded_and_silent(tree: Tree) -> None:
    """The new library lies there, and the old nvidia-smi still answers."""
    healthy(tree)
    tree.write("usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.200.02")


def one_lost(tree: Tree) -> None:
    healthy(tree)
    tree.answers["--query-gpu"] = LOST + SMI.splitlines()[1]


def one_lost_and_no_answer(tree: Tree) -> None:
    """It stops at the lost one, so that nothing is known of the other."""
    healthy(tree)
    del tree.answers["--query-gpu"]
    tree.failure = Answer(15, "", LOST)


def hanging(tree: Tree) -> None:
    broken(tree)
    tree.failure = Answer(None, "", "no answer within 30 s")


def broken(tree: Tree) -> None:
    tree.gpus("nvidia")
    tree.driver()
    del tree.answers["--query-gpu"]


def wsl(tree: Tree) -> None:
    """No bus, a device of Windows, and nvidia-smi."""
    tree.write("dev/dxg")
    tree.write("usr/bin/nvidia-smi")
    tree.answers["--query-gpu"] = SMI


def wsl_without_driver(tree: Tree) -> None:
    tree.write("dev/dxg")


def wsl_with_old_driver(tree: Tree) -> None:
    tree.write("dev/dxg")
    tree.write("usr/lib/wsl/lib/nvidia-smi")
    tree.failure = Answer(255, "Failed to initialize NVML: N/A\n")


def undivided(tree: Tree) -> None:
    """As after a restart: MIG stays on, and its devices are gone."""
    healthy(tree)
    tree.answers["--query-gpu"] = SMI.replace("Disabled", "Enabled")
    tree.answers["-L"] = "GPU 0: NVIDIA L40S (UUID: GPU-a)\nGPU 1: NVIDIA L40S (UUID: GPU-b)\n"


def undivided_and_whole(tree: Tree) -> None:
    """One GPU can still be used."""
    undivided(tree)
    tree.answers["--query-gpu"] = SMI.replace("Disabled", "Enabled", 1)


def vanished(tree: Tree) -> None:
    """A specification by hand of three GPUs, one of which went."""
    healthy(tree)
    (tree.root / "run/cdi/nvidia.yaml").unlink()
    tree.write("etc/cdi/nvidia.yaml", SPEC + SPEC.partition("devices:\n")[2].replace("'0'", "'2'"))


def two_specifications(tree: Tree) -> None:
    healthy(tree)
    tree.write("run/cdi/mine.yaml", SPEC)


def two_directories(tree: Tree) -> None:
    """The one in /run hides the other, and nothing is refused."""
    healthy(tree)
    tree.write("etc/cdi/nvidia.yaml", SPEC)


def other_names(tree: Tree) -> None:
    """As `nvidia-ctk cdi generate --device-name-strategy=type-index` names them."""
    healthy(tree)
    tree.write("etc/cdi/mine.yaml", SPEC.replace("'0'", "gpu0"))


def node_gone(tree: Tree) -> None:
    healthy(tree)
    (tree.root / "dev/nvidia0").unlink()


def toolkits_own(tree: Tree) -> None:
    """Stale, and left to the role that has it written anew."""
    node_gone(tree)
    tree.write("usr/lib/systemd/system/nvidia-cdi-refresh.service")


HOSTS: list[tuple[Callable[[Tree], None], list[str]]] = [
    (healthy, []),
    (wsl, []),
    (wsl_without_driver, ["WSL), whose driver does not answer (there is no nvidia-smi): install NVIDIA's driver in"]),
    (wsl_with_old_driver, ["does not answer (nvidia-smi says: Failed to initialize NVML: N/A): install NVIDIA's"]),
    (no_gpu, ["serving_accelerator: cuda, and gpu1 has no NVIDIA GPU on its PCI bus: set it to cpu"]),
    (no_driver, ["there is one and no driver for it: set nvidia_driver_enabled: true"]),
    (no_library, ["nvidia-smi is there without the driver's library (libnvidia-ml.so): set nvidia_driver_enabled"]),
    (nouveau, ["nouveau holds it: set nvidia_driver_enabled: true"]),
    (nouveau_and_nvidia, ["nouveau holds it, although NVIDIA's is installed: restart the host"]),
    (virtual_machine, ["vfio-pci holds it, so it belongs to a virtual machine"]),
    (not_loaded, ["its driver is installed and not loaded: restart the host"]),
    (other_kernel, ["its driver has no module for the running kernel"]),
    (upgraded, ["module is 550.163.01 and its library 550.200.02, as after an unattended upgrade, so nothing starts"]),
    (upgraded_elsewhere, ["module is 550.163.01 and its library of another version, as after an unattended upgrade"]),
    (upgraded_and_silent, []),
    (one_lost, ["GPU 0 (0000:3b:00.0): the driver has lost it: restart the host"]),
    (one_lost_and_no_answer, ["GPU 0 (0000:3b:00.0): the driver has lost it: restart the host"]),
    (broken, ["(nvidia-smi says: NVIDIA-SMI has failed because it couldn't communicate with the driver.)"]),
    (hanging, ["its driver does not answer (nvidia-smi says: no answer within 30 s): restart the host"]),
    (undivided, ["GPU 0: MIG is on and there are no MIG devices, so nothing runs on it: make some"]),
    (undivided_and_whole, []),
    (vanished, ["/etc/cdi/nvidia.yaml names nvidia.com/gpu=2, which the host does not have: remove that file"]),
    (node_gone, ["/run/cdi/nvidia.yaml names /dev/nvidia0, which the host does not have: remove that file"]),
    (two_specifications, ["gpu=0 is in two CDI specifications (/run/cdi/mine.yaml and /run/cdi/nvidia.yaml)"]),
    (two_directories, []),
    (other_names, []),
    (toolkits_own, []),
]  # fmt: skip


@pytest.mark.parametrize(("make", "said"), HOSTS, ids=[make.__name__ for make, _said in HOSTS])
def test_hosts(tmp_path: Path, make: Callable[[Tree], None], said: list[str]) -> None:
    tree = Tree(tmp_path)
    make(tree)
    lines = list(gpu_health(tree.facts()))
    assert len(lines) == len(said), lines
    for line, words in zip(lines, said, strict=True):
        assert words in line
        assert "\n" not in line


@pytest.mark.parametrize("make", [no_driver, no_library, nouveau, not_loaded, broken, upgraded])
def test_a_driver_that_is_to_come_is_not_missed(tmp_path: Path, make: Callable[[Tree], None]) -> None:
    tree = Tree(tmp_path)
    make(tree)
    assert list(gpu_health(tree.facts(), driver_follows=True)) == []


def test_a_lost_gpu_is_told_whatever_driver_is_to_come(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    one_lost_and_no_answer(tree)
    assert len(list(gpu_health(tree.facts(), driver_follows=True))) == 1


def test_the_own_specification_of_two_stays(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    two_specifications(tree)
    tree.write("usr/lib/systemd/system/nvidia-cdi-refresh.service")
    (line,) = gpu_health(tree.facts())
    assert line.endswith("remove /run/cdi/mine.yaml")


def test_a_gpu_that_is_to_come_is_missed_all_the_same(tmp_path: Path) -> None:
    assert len(list(gpu_health(Tree(tmp_path).facts(), driver_follows=True))) == 1


def with_mig(tree: Tree) -> None:
    healthy(tree)
    (tree.root / "run/cdi/nvidia.yaml").unlink()
    tree.answers["--query-gpu"] = SMI.replace("Disabled", "Enabled", 1)
    tree.answers["-L"] = (
        "GPU 0: NVIDIA L40S (UUID: GPU-a)\n"
        "  MIG 1g.10gb     Device  0: (UUID: MIG-1)\n"
        "  MIG 1g.10gb     Device  1: (UUID: MIG-2)\n"
        "GPU 1: NVIDIA L40S (UUID: GPU-b)\n"
    )


@pytest.mark.parametrize(
    ("make", "wanted", "said"),
    [
        (healthy, [], ""),
        (healthy, ["all"], ""),
        (healthy, ["0", "1"], ""),
        (healthy, ["GPU-b"], ""),
        (healthy, ["2"], "there is no GPU 2: choose among 0 (GPU-a), 1 (GPU-b)"),
        (healthy, ["GPU-c"], "there is no GPU GPU-c"),
        (healthy, ["all", "0"], "all stands for every GPU"),
        (healthy, ["0", "0"], "0 and 0 are one GPU: name it once"),
        (healthy, ["0", "GPU-a"], "0 and GPU-a are one GPU: name it once"),
        (one_lost, ["GPU-a"], "there is no GPU GPU-a: choose among 1 (GPU-b)"),
        (with_mig, ["0:1", "1"], ""),
        (with_mig, ["MIG-2"], ""),
        (with_mig, ["0:1", "MIG-2"], "0:1 and MIG-2 are one GPU"),
        (with_mig, ["0"], "there is no GPU 0: choose among"),
        (with_mig, ["0:2"], "MIG devices 0:0, 0:1"),
        (no_driver, ["7"], ""),
    ],
)
def test_choices(tmp_path: Path, make: Callable[[Tree], None], wanted: list[str], said: str) -> None:
    tree = Tree(tmp_path)
    make(tree)
    lines = list(gpu_choice_problems(wanted, tree.facts()))
    assert len(lines) == bool(said), lines
    assert said in "".join(lines)


def test_facts_of_a_divided_gpu(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    with_mig(tree)
    first, second = tree.facts()["gpus"]
    assert first["mig_devices"] == [
        {"index": "0:0", "profile": "1g.10gb", "uuid": "MIG-1"},
        {"index": "0:1", "profile": "1g.10gb", "uuid": "MIG-2"},
    ]
    assert (second["mig"], second["mig_devices"]) == (False, [])


def test_facts_of_processes(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    healthy(tree)
    tree.answers["--query-compute-apps"] = (
        "GPU-b, 4711, /usr/bin/python3 -m x, y, 12288\nGPU-b, 4712, [Not Found], [N/A]\nNo running processes found\n"
    )
    first, second = tree.facts()["gpus"]
    assert first["processes"] == []
    assert second["processes"] == [
        {"pid": 4711, "name": "/usr/bin/python3 -m x, y", "memory": 12288 * 1024 * 1024, "server": None},
        {"pid": 4712, "name": "[Not Found]", "memory": None, "server": None},
    ]


@pytest.mark.parametrize("name", ["t4", "l40s", "a100", "h100", "b200", "gb200", "gb300"])
def test_recorded_lists_and_queries_name_the_same_gpus(name: str) -> None:
    recorded = Path(__file__).parents[3] / "fixtures/host"
    listed = parse_list((recorded / f"nvidia-smi-L/{name}.txt").read_text(encoding="utf-8"))
    asked = parse_smi((recorded / f"nvidia-smi/{name}.csv").read_text(encoding="utf-8"))
    assert listed == {gpu["uuid"]: [] for gpu in asked}
