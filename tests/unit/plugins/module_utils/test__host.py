# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host facts over made-up file trees."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _host
from ansible_collections.llmops.serving.plugins.module_utils._gpu_health import gpu_health
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import APP_COMMAND, SMI_COMMAND, Answer
from tests.unit.plugins.module_utils import test__host_docker, test__host_gpu, test__host_held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OS_RELEASES: dict[str, str] = {
    "bookworm": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n',
    "bullseye": 'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nVERSION_ID="11"\nVERSION_CODENAME=bullseye\nID=debian\n',
    "forky": 'PRETTY_NAME="Debian GNU/Linux forky/sid"\nVERSION_CODENAME=forky\nID=debian\n',
    "noble": 'NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n',
    "focal": 'NAME="Ubuntu"\nVERSION_ID="20.04"\nID=ubuntu\nID_LIKE=debian\n',
    "rocky": 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n',
    "alma8": 'ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="8.10"\n',
    "fedora": "ID=fedora\nVERSION_ID=43\n",
    "mint": 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\n',
    "arch": "ID=arch\n# a comment\nBROKEN='never closed\n",
    "none": "",
}


def write(root: Path, name: str, text: str) -> None:
    """Write a file of the made-up tree."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("bookworm", ("debian", "12", "debian", True)),
        ("bullseye", ("debian", "11", "debian", False)),
        ("forky", ("debian", "", "debian", True)),
        ("noble", ("ubuntu", "24.04", "debian", True)),
        ("focal", ("ubuntu", "20.04", "debian", False)),
        ("rocky", ("rocky", "9.4", "redhat", True)),
        ("alma8", ("almalinux", "8.10", "redhat", False)),
        ("fedora", ("fedora", "43", "redhat", True)),
        ("mint", ("linuxmint", "22", "debian", False)),
        ("arch", ("arch", "", "other", False)),
        ("none", ("", "", "other", False)),
    ],
)
def test_distribution(tmp_path: Path, release: str, expected: tuple[str, str, str, bool]) -> None:
    write(tmp_path, "etc/os-release", OS_RELEASES[release])
    facts = _host.distribution_facts(tmp_path)
    assert (facts["id"], facts["version"], facts["family"], facts["supported"]) == expected
    assert facts["name"]


def test_os_release_in_its_second_place(tmp_path: Path) -> None:
    write(tmp_path, "usr/lib/os-release", OS_RELEASES["noble"])
    assert _host.distribution_facts(tmp_path)["codename"] == "noble"


@pytest.mark.parametrize(("online", "cores"), [("0\n", 1), ("0-1\n", 2), ("0-3,8,10-11\n", 7)])
def test_cores(tmp_path: Path, online: str, cores: int) -> None:
    write(tmp_path, "sys/devices/system/cpu/online", online)
    assert _host.core_count(tmp_path) == cores


def test_memory(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemTotal:       32716560 kB\nMemFree:  1 kB\nMemAvailable:   29360128 kB\n")
    assert _host.memory_facts(tmp_path) == {"total": 32716560 * 1024, "available": 29360128 * 1024}
    assert _host.memory_facts(tmp_path / "empty") == {"total": 0, "available": 0}


def test_disk_uses_the_nearest_existing_parent_and_its_mount(tmp_path: Path) -> None:
    (tmp_path / "srv/my models").mkdir(parents=True)
    write(
        tmp_path,
        "proc/self/mounts",
        "/dev/vda1 / ext4 rw 0 0\n/dev/vdb1 /srv ext4 rw 0 0\n"
        "/dev/vdc1 /srv/my\\040models xfs rw 0 0\ntmpfs /srvx tmpfs rw 0 0\n",
    )
    disks = _host.disk_facts(tmp_path, ["/srv/my models/a/b", "/srv/docker", "/srvy/models"])
    assert [(disks[path]["mount"], disks[path]["measured"]) for path in disks] == [
        ("/srv/my models", "/srv/my models"),
        ("/srv", "/srv"),
        ("/", "/"),
    ]
    space = os.statvfs(tmp_path)
    assert disks["/srv/docker"]["total"] == space.f_blocks * space.f_frsize
    assert 0 < disks["/srv/docker"]["free"] <= disks["/srv/docker"]["total"]


@pytest.mark.parametrize(
    ("library", "version"),
    [
        ("usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so", 252),
        ("usr/lib/systemd/libsystemd-shared-257-9.el10.so", 257),
    ],
)
def test_systemd(tmp_path: Path, library: str, version: int) -> None:
    assert _host.systemd_facts(tmp_path) == {"running": False, "version": None}
    write(tmp_path, library, "")
    assert _host.systemd_facts(tmp_path) == {"running": False, "version": version}
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert _host.systemd_facts(tmp_path)["running"] is True


def test_host_facts_of_a_bare_tree(tmp_path: Path) -> None:
    facts = _host.host_facts(str(tmp_path))
    assert facts["docker"]["installed"] is False
    assert facts["docker"]["daemon_json"] is None
    assert (facts["git"], facts["gpus"], facts["ports"]) == (False, [], [])
    assert set(facts["disk"]) == {"/var/lib/docker", _host.DEFAULT_MODEL_DIR}
    assert facts["architecture"] == platform.machine()
    json.dumps(facts)


def test_host_facts_of_a_full_tree(tmp_path: Path) -> None:
    write(tmp_path, "etc/os-release", OS_RELEASES["bookworm"])
    write(tmp_path, "proc/sys/kernel/hostname", "lab1\n")
    write(tmp_path, "proc/sys/kernel/osrelease", "6.1.0-28-amd64\n")
    write(tmp_path, "usr/bin/git", "")
    write(tmp_path, "usr/bin/nvidia-smi", "")
    write(tmp_path, "usr/sbin/dockerd", "")
    write(tmp_path, "etc/docker/daemon.json", '{"data-root": "/srv/docker"}')
    asked: list[Sequence[str]] = []

    def run(argv: Sequence[str], timeout: float) -> str | None:
        assert timeout > 0
        asked.append(argv)
        return None

    def ask(argv: Sequence[str], timeout: float) -> Answer:
        assert timeout > 0
        asked.append(argv)
        return Answer(9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n")

    facts = _host.host_facts(str(tmp_path), model_dir="/srv/models", paths=["/tmp"], run=run, ask=ask)  # noqa: S108  a name only
    assert (facts["hostname"], facts["kernel"], facts["git"]) == ("lab1", "6.1.0-28-amd64", True)
    assert list(facts["disk"]) == ["/srv/docker", "/srv/models", "/tmp"]  # noqa: S108  a name only
    # Without systemd nobody asks systemctl; the two programs that are there are asked once each.
    assert [argv[0] for argv in asked] == ["/usr/sbin/dockerd", "nvidia-smi"]
    assert facts["nvidia"]["smi"]["code"] == 9


def test_this_machine() -> None:
    facts = _host.host_facts()
    assert facts["memory"]["total"] > facts["memory"]["available"] > 0
    assert facts["python"] == platform.python_version()
    assert facts["cores"] >= 1


def test_run_command_gives_up_quietly() -> None:
    assert _host.run_command([sys.executable, "-c", "print('x')"], 20) == "x\n"
    assert _host.run_command([sys.executable, "-c", "raise SystemExit(9)"], 20) is None
    assert _host.run_command([sys.executable, "-c", "import time; time.sleep(60)"], 0.2) is None
    assert _host.run_command(["/no/such/program"], 1) is None


def test_ask_command_hears_what_fails() -> None:
    program = "import sys; print('out'); print('err', file=sys.stderr, flush=True); sys.exit(9)"
    assert _host.ask_command([sys.executable, "-c", program], 20) == Answer(9, "out\n", "err\n")
    code, out, err = _host.ask_command(["/no/such/program"], 1)
    assert (code, out) == (None, "")
    assert "/no/such/program" in err


def test_a_command_that_hangs_is_not_waited_for() -> None:
    # The child keeps the pipes open after its parent was killed, as a command that hangs in the kernel does.
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(8)'])"
    began = time.monotonic()
    assert _host.ask_command([sys.executable, "-c", program], 0.3) == Answer(None, "", "no answer within 0.3 s")
    assert time.monotonic() - began < 6


def plain(value: Any) -> bool:
    """Whether a value is one of JSON."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(entry) for key, entry in value.items())
    if isinstance(value, list):
        return all(plain(entry) for entry in value)
    return value is None or isinstance(value, str | int | bool)


NO_DRIVER = {
    "module": None, "library": None, "module_installed": False, "nouveau": False, "wsl": False,
    "smi": {"installed": False, "works": False, "code": None, "message": ""},
}  # fmt: skip
NO_TOOLKIT: dict[str, Any] = {
    "version": None,
    "packages": {},
    "ctk": None,
    "hook": False,
    "refresh": False,
    "refresh_enabled": False,
}


def test_a_bare_host_without_gpus(tmp_path: Path) -> None:
    test__host_gpu.device(tmp_path, "0000:00:02.0", kind="0x030000", vendor="0x1234", driver="bochs-drm")

    def ask(argv: Sequence[str], timeout: float) -> Answer:
        raise AssertionError(f"{argv} costs {timeout} s at most, and there is no GPU")

    def run(argv: Sequence[str], timeout: float) -> str | None:
        raise AssertionError(f"{argv} costs {timeout} s at most, and nothing is installed")

    facts = _host.host_facts(str(tmp_path), run=run, ask=ask)
    assert (facts["gpus"], facts["nvidia"], facts["toolkit"]) == ([], NO_DRIVER, NO_TOOLKIT)
    assert (facts["cdi"], facts["held"]) == ({"specs": [], "devices": [], "twice": []}, {})
    assert plain(facts)
    assert len(list(gpu_health(facts))) == 1


def test_a_host_with_a_gpu_and_no_driver(tmp_path: Path) -> None:
    test__host_gpu.device(tmp_path, "0000:3b:00.0", kind="0x030200")
    facts = _host.host_facts(str(tmp_path))
    assert facts["gpus"] == [
        {
            "index": 0, "pci": "0000:3b:00.0", "vendor": "0x10de", "device": "0x2330", "name": None, "driver": None,
            "driver_version": None, "uuid": None, "memory_total": None, "memory_free": None,
            "compute_capability": None, "mig": None, "mig_devices": [], "processes": [], "lost": False,
        }
    ]  # fmt: skip
    assert facts["nvidia"] == NO_DRIVER
    assert plain(facts)


CHAT = "c" * 64
GPUS = test__host_gpu.ONE + test__host_gpu.OTHER
APPS = (
    "GPU-a, 4711, /usr/bin/python3, 12288\n"  # ours
    "GPU-b, 4712, VLLM::Worker_TP1, 11000\n"  # ours too
    "GPU-b, 5000, /opt/train/bin/python, 512\n"  # somebody else's
    "GPU-b, 6000, [Not Found], [N/A]\n"  # of another name space of processes
)


@pytest.fixture
def gpu_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a made-up host with two GPUs and a server on them, in a place short enough for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="host-") as directory:
        root = Path(directory)
        write(root, "proc/sys/kernel/osrelease", "6.1.0-28-amd64\n")
        write(root, "proc/driver/nvidia/version", test__host_gpu.CLOSED_MODULE)
        write(root, "lib/modules/6.1.0-28-amd64/modules.dep", "updates/dkms/nvidia.ko:\n")
        write(root, "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.163.01", "")
        for name in ("nvidia-smi", "dockerd", "nvidia-ctk", "nvidia-container-runtime"):
            write(root, f"usr/bin/{name}", "")
        for number, address in enumerate(("0000:3b:00.0", "0000:5e:00.0")):
            test__host_gpu.device(root, address, kind="0x030200", driver="nvidia")
            write(root, f"dev/nvidia{number}", "")
        write(
            root,
            "run/cdi/nvidia.yaml",
            "kind: nvidia.com/gpu\ndevices:\n"
            + "".join(
                f'- containerEdits:\n    deviceNodes:\n    - path: /dev/nvidia{number}\n  name: "{number}"\n'
                for number in range(2)
            ),
        )
        scope = f"/system.slice/docker-{CHAT}.scope"
        test__host_held.process(root, 4711, scope, anonymous=1000, shared=24, file=999999)
        test__host_held.process(root, 4712, scope, anonymous=500)
        test__host_held.process(root, 5000, "/user.slice/user-1000.slice/session-3.scope", anonymous=7)
        monkeypatch.setitem(test__host_docker.ANSWERS, "/version", {"Version": "28.5.2", "ApiVersion": "1.51"})
        monkeypatch.setitem(
            test__host_docker.ANSWERS,
            "/containers/json?filters=%7B%22label%22%3A%20%5B%22llmops.server%22%5D%7D",
            [{"Id": CHAT, "Names": ["/llmops-chat"]}],
        )
        daemon = test__host_docker.Daemon(str(root / "run/docker.sock"))
        thread = threading.Thread(target=daemon.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield root
        daemon.shutdown()
        daemon.server_close()
        thread.join()


def test_a_host_with_two_gpus_and_a_server_on_them(gpu_host: Path) -> None:
    asked: list[Sequence[str]] = []

    def ask(argv: Sequence[str], timeout: float) -> Answer:
        assert timeout > 0
        asked.append(argv)
        return Answer(0, {SMI_COMMAND[1]: GPUS, APP_COMMAND[1]: APPS}[argv[1]])

    def run(argv: Sequence[str], timeout: float) -> str | None:
        assert timeout > 0
        return {"nvidia-ctk": "NVIDIA Container Toolkit CLI version 1.20.0\ncommit: x\n"}.get(argv[0])

    facts = _host.host_facts(str(gpu_host), run=run, ask=ask)
    mib = 1024 * 1024
    first, second = facts["gpus"]
    assert (first["index"], first["uuid"], first["lost"]) == (0, "GPU-a", False)
    assert first["processes"] == [{"pid": 4711, "name": "/usr/bin/python3", "memory": 12288 * mib, "server": "chat"}]
    assert second["processes"] == [
        {"pid": 4712, "name": "VLLM::Worker_TP1", "memory": 11000 * mib, "server": "chat"},
        {"pid": 5000, "name": "/opt/train/bin/python", "memory": 512 * mib, "server": None},
        {"pid": 6000, "name": "[Not Found]", "memory": None, "server": None},
    ]
    assert facts["held"] == {"chat": {"memory": 1524 * 1024, "gpus": {"GPU-a": 12288 * mib, "GPU-b": 11000 * mib}}}
    assert facts["nvidia"]["smi"] == {"installed": True, "works": True, "code": 0, "message": ""}
    assert facts["toolkit"]["version"] == "1.20.0"
    assert facts["cdi"] == {
        "specs": [{"path": "/run/cdi/nvidia.yaml", "devices": ["0", "1"], "missing": []}],
        "devices": ["0", "1"],
        "twice": [],
    }
    assert facts["docker"]["ways"] == ["cdi"]
    assert asked == [SMI_COMMAND, APP_COMMAND], "nvidia-smi is run twice at most"
    assert list(gpu_health(facts)) == []
    assert plain(facts)
    assert json.loads(json.dumps(facts)) == facts


def test_a_stopped_docker_is_not_asked_for_servers(gpu_host: Path) -> None:
    write(gpu_host, "run/systemd/system/.keep", "")
    stopped = lambda _argv, _timeout: test__host_docker.STOPPED  # noqa: E731  a runner in one word
    facts = _host.host_facts(str(gpu_host), run=stopped, ask=lambda _argv, _timeout: Answer(0, GPUS))
    assert (facts["docker"]["running"], facts["held"]) == (False, {})
