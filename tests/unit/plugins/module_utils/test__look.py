# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers of inventories/gpu on recorded machines: what is chosen, what is refused, and the sums."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils import _look, _preflight
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import parse_smi
from ansible_collections.llmops.serving.plugins.module_utils._look import Look
from ansible_collections.llmops.serving.plugins.module_utils._registry import ImageAnswer
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._problems import questions
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site
from tests.unit.plugins.course_hub import offer
from tests.unit.plugins.fake_hub import FakeHub, fake_hub

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[4]
RECORDED = ROOT / "tests/fixtures/host/nvidia-smi"
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "inventories/gpu/group_vars/serving.yml").read_text(encoding="utf-8"))
SERVERS: dict[str, dict[str, Any]] = {server["name"]: server for server in VALUES["course_servers"]}
MODELS: dict[str, dict[str, Any]] = {
    # The hub here has the heads of the files alone, so no checksum of the whole can be right.
    name: {
        **{word: value for word, value in model.items() if word != "sha256"},
        "revision": "c" * 40 if "{{" in model["revision"] else model["revision"],
    }
    for name, model in VALUES["course_models"].items()
}
SITE = Site(
    models=MODELS,
    model_dir="/m",
    registries={},
    accelerator="cuda",
    engines=definitions(),
    images={"aphrodite": "registry.example/aphrodite-openai:0.24.1"},
)
GIB = 1 << 30


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    with fake_hub(tmp_path_factory.mktemp("hub")) as made:
        offer(made, MODELS)
        yield made


def look(hub: FakeHub, tmp_path: Path, servers: list[dict[str, Any]], hardware: str, **words: Any) -> dict[str, Any]:
    """Judge servers by a file of another machine's GPUs, unless `hardware` is empty."""
    used = {name for server in servers for name in [server.get("model"), *server.get("models", [])] if name}
    site = Site(**{**SITE.__dict__, "models": {name: MODELS[name] for name in used}})
    asked = questions(servers, site)
    assert len(asked["servers"]) == len(servers), "an inventory with a problem is not asked about"
    params = {
        "hardware": hardware, "accelerator": "cuda", "driver_follows": False, "driver_changes": False,
        "model_dir": str(tmp_path / "models"),
        "hub_url": hub.url, "token": "", "ca": "", "extra": False, "prune": False, **asked, **words,
    }  # fmt: skip
    return Look(params).run()


# By server: weights in GiB, what its KV cache holds of each request in tokens, and bytes for one token. Worked by hand:
#   Qwen2-0.5B-Instruct: 494,032,768 parameters of 2 bytes = 0.920 GiB; K and V of 24 layers x 2 heads x 64 x 2 bytes =
#     12 KiB for each token
#   its AWQ variant: the table of 151936 x 896 words in float16 (0.254 GiB), the rest in 4 bits with scales and zeros
#   qwen2.5-0.5b q4_k_m, as course_hub.py sums it up: 136.1 million values of the words, of 34/32 bytes, which compute
#     the output too and so lie on the GPU, 242.2 million of 22/32 and 104.6 million of 144/256 bytes = 0.345 GiB
#   embed: 357.9 + 566.6 + 66.3 million parameters of 2 bytes = 1.85 GiB
COURSE = {
    "chat": (0.920, 8192),
    "awq": (0.427, 8192),
    "small": (0.345, None),
    "embed": (1.846, None),
    "sglang": (0.920, 8192),
    "aphrodite": (0.920, 8192),
    "tgi": (0.920, 4096),
}
MACHINES = {"t4": 16, "l40s": 48, "a100": 40, "h100": 80}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", COURSE)
def test_every_server_of_the_course_has_its_sum_on_every_machine(
    hub: FakeHub, tmp_path: Path, name: str, machine: str
) -> None:
    answer = (RECORDED / f"{machine}.csv").read_text(encoding="utf-8")
    result = look(hub, tmp_path, [SERVERS[name]], answer)
    (fit,) = result["fits"]
    weights, tokens = COURSE[name]
    assert fit["verdict"] == "fits"
    assert next(part["bytes"] for part in fit["sum"] if part["what"] == "weights") / GIB == pytest.approx(
        weights, abs=0.01
    )
    assert "GiB free on " in fit["line"]
    if tokens is None:
        return
    # The share of the whole GPU is taken, and what weights and buffers leave of it is KV cache.
    share = SERVERS[name].get("gpu_memory_fraction") or SERVERS[name]["options"]["mem-fraction-static"]
    cache = next(part["bytes"] for part in fit["sum"] if part["what"] == "KV cache")
    # SGLang's and TGI's shares are of what is left beside CUDA, so up to 2 GiB less of the largest GPU.
    assert (fit["need"] - 0.3 * GIB) / GIB == pytest.approx(share * MACHINES[machine], abs=0.6 + MACHINES[machine] / 80)
    assert fit["requests"] == pytest.approx(cache / (tokens * 12 * 1024), abs=1)
    assert f"requests of {tokens} tokens x 12 KiB at once" in fit["line"]


@pytest.mark.parametrize(("name", "chosen"), [("chat", "cuda12"), ("sglang", "cuda12"), ("embed", None), ("tgi", None)])
def test_driver_550_gets_the_newest_image_that_runs_on_it(
    hub: FakeHub, tmp_path: Path, name: str, chosen: str | None
) -> None:
    result = look(hub, tmp_path, [SERVERS[name]], (RECORDED / "h100.csv").read_text(encoding="utf-8"))
    assert result["variants"] == ({name: chosen} if chosen else {})
    assert result["problems"] == []
    assert len(result["notices"]) == (name == "tgi") + bool(chosen), "TGI has a notice of its own"


def test_driver_550_has_no_image_of_llama_cpp(hub: FakeHub, tmp_path: Path) -> None:
    result = look(hub, tmp_path, [SERVERS["small"]], (RECORDED / "h100.csv").read_text(encoding="utf-8"))
    (problem,) = result["problems"]
    assert "server-cuda-b11243 needs driver 570 or newer, and the host has driver 550.163.01 (CUDA 12.4)" in problem
    assert "nvidia_driver_enabled: true" in problem
    assert "or set image of the server" in problem


def test_the_course_on_one_newer_machine(hub: FakeHub, tmp_path: Path) -> None:
    on = [SERVERS[name] for name in VALUES["course_on"]]
    result = look(hub, tmp_path, on, (RECORDED / "gb200.csv").read_text(encoding="utf-8"))
    assert (result["problems"], result["variants"], result["notices"]) == ([], {}, [])
    assert [fit["server"] for fit in result["fits"]] == VALUES["course_on"]


BAD: list[tuple[list[dict[str, Any]], str]] = [
    ([{**SERVERS["chat"], "gpus": ["9"]}], "serving_servers['chat'].gpus: there is no GPU 9: choose among 0 (GPU-"),
    ([{**SERVERS["chat"], "tensor_parallel_size": 16}], "['chat'].tensor_parallel_size: 16 is more than the 8"),
    ([{**SERVERS["chat"], "tensor_parallel_size": 4}], "['chat'].tensor_parallel_size: 4 does not divide"),
    ([{**SERVERS["chat"], "context_length": 99999}], "serving_servers['chat'].context_length: 99999 is more than"),
    (
        [{**SERVERS["chat"], "gpu_memory_fraction": 0.7}, {**SERVERS["awq"], "gpu_memory_fraction": 0.6}],
        "serving_servers['awq'].gpu_memory_fraction",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("servers", "said"), BAD)
def test_what_no_machine_like_this_can_serve(
    hub: FakeHub, tmp_path: Path, servers: list[dict[str, Any]], said: str
) -> None:
    answer = (RECORDED / "h100.csv").read_text(encoding="utf-8")
    refused = look(hub, tmp_path, servers, answer)
    assert len(refused["problems"]) == 1, refused["problems"]
    assert said in refused["problems"][0]
    # Whoever knows better may try, but for a GPU that is not there.
    warned = look(hub, tmp_path, [{**server, "fit": "warn"} for server in servers], answer)
    if "there is no GPU" not in said:
        assert warned["problems"] == []
        assert any(said in notice for notice in warned["notices"])


def test_a_model_that_was_quantised_for_newer_gpus(hub: FakeHub, tmp_path: Path) -> None:
    volta = (
        (RECORDED / "t4.csv").read_text(encoding="utf-8").replace("NVIDIA T4", "Tesla V100").replace(", 7.5,", ", 7.0,")
    )
    result = look(hub, tmp_path, [SERVERS["awq"]], volta)
    assert result["variants"] == {"awq": "cuda12"}
    (problem,) = result["problems"]
    assert problem.startswith("serving_servers['awq'].quantization: awq needs compute capability 7.5 or higher in vLLM")


# -- the host itself, whose facts are made up


def facts(machine: str = "", **changes: Any) -> dict[str, Any]:
    """A host with Docker and the GPUs of a recorded machine, or none."""
    gpus = parse_smi((RECORDED / f"{machine}.csv").read_text(encoding="utf-8")) if machine else []
    extra = {"driver": "nvidia", "mig_devices": [], "processes": [], "lost": False}
    return {
        "hostname": "gpu1",
        "systemd": {"running": True, "version": 252},
        "distribution": {"id": "debian", "version": "13", "supported": True},
        "docker": {"installed": True, "root_dir": "/var/lib/docker"},
        "disk": {},
        "ports": [],
        "memory": {"total": 256 * GIB, "available": 200 * GIB},
        "gpus": [{**gpu, **extra} for gpu in gpus],
        "nvidia": {
            "module": "550.163.01" if machine else None, "library": "550.163.01" if machine else None,
            "module_installed": bool(machine), "nouveau": False, "wsl": False,
            "smi": {"installed": bool(machine), "works": bool(machine), "code": 0, "message": ""},
        },
        "toolkit": {"version": None, "packages": {}, "refresh": False},
        "cdi": {"specs": [], "devices": [], "twice": []},
        "held": {},
        **changes,
    }  # fmt: skip


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, ImageAnswer]:
    """What registries say, by image; all others exist and say nothing of themselves."""
    answers: dict[str, ImageAnswer] = {}
    monkeypatch.setattr(
        _preflight, "check_image", lambda image, **_words: answers.get(image, ImageAnswer(ok=True, size=1))
    )
    monkeypatch.setattr(_preflight, "image_digest", lambda _image: None)
    monkeypatch.setattr(_look, "endangered", lambda: ["legacy"])
    return answers


@pytest.mark.usefixtures("registry")
def test_a_host_without_gpus_is_told_once(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_look, "host_facts", lambda **_words: facts())
    on = [SERVERS[name] for name in VALUES["course_on"]]
    result = look(hub, tmp_path, on, "")
    (problem,) = result["problems"]
    assert "gpu1 has no NVIDIA GPU on its PCI bus" in problem
    assert result["fits"] == []


@pytest.mark.usefixtures("registry")
def test_a_driver_that_follows_is_waited_for(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = facts("h100")
    bare["nvidia"] |= {"module": None, "library": None, "module_installed": False}
    bare["nvidia"]["smi"] |= {"installed": False, "works": False}
    bare["gpus"] = [{**gpu, "uuid": None, "driver": None, "driver_version": None} for gpu in bare["gpus"]]
    monkeypatch.setattr(_look, "host_facts", lambda **_words: bare)
    refused = look(hub, tmp_path, [SERVERS["chat"]], "")
    assert "no driver for it" in refused["problems"][0]
    awaited = look(hub, tmp_path, [SERVERS["chat"]], "", driver_follows=True)
    assert (awaited["problems"], awaited["fits"], awaited["variants"]) == ([], [], {})
    assert (refused["awaited"], awaited["awaited"]) == (False, True)


@pytest.mark.usefixtures("registry")
def test_a_newer_driver_that_is_asked_for_is_waited_for(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_look, "host_facts", lambda **_words: facts("h100"))
    refused = look(hub, tmp_path, [SERVERS["small"]], "", driver_follows=True)
    assert 'nvidia_driver_branch: "580"' in refused["problems"][0]
    assert not refused["awaited"]
    awaited = look(hub, tmp_path, [SERVERS["small"]], "", driver_follows=True, driver_changes=True)
    assert (awaited["problems"], awaited["awaited"]) == ([], True)


@pytest.mark.parametrize(
    ("answer", "words", "said"),
    [
        ("", {}, "the file holds no GPU with its memory"),
        ("0, GPU-1, NVIDIA L40S, 46068 MiB, 45000 MiB, 8.9, 580.1, Disabled\n", {}, "format=csv,noheader,nounits"),
        ("0, GPU-1, NVIDIA L40S, 46068, 45000, 8.9, 580.1, Disabled\n", {"accelerator": "cpu"}, "set that to cuda"),
    ],
)
def test_a_file_that_is_no_answer_of_nvidia_smi(
    hub: FakeHub, tmp_path: Path, answer: str, words: dict[str, Any], said: str
) -> None:
    result = look(hub, tmp_path, [SERVERS["chat"]], answer or "\n", **words)
    assert any("serving_hardware: " in problem and said in problem for problem in result["problems"])


def test_an_image_of_ones_own_says_itself_what_it_needs(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: dict[str, ImageAnswer]
) -> None:
    monkeypatch.setattr(_look, "host_facts", lambda **_words: facts("h100"))
    server = {**SERVERS["chat"], "image": "own.example/vllm:1"}
    registry["own.example/vllm:1"] = ImageAnswer(ok=True, size=1, requires="cuda>=13.0")
    (problem,) = look(hub, tmp_path, [server], "")["problems"]
    assert "own.example/vllm:1 says that it needs cuda>=13.0, so driver 580 or newer" in problem
    registry["own.example/vllm:1"] = ImageAnswer(ok=True, size=1, requires="cuda>=12.9")
    result = look(hub, tmp_path, [server], "")
    assert result["problems"] == []
    assert any("server legacy got its GPUs through the toolkit's hook" in notice for notice in result["notices"])


@pytest.mark.usefixtures("registry")
def test_a_foreign_process_is_named(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = facts("t4")
    host["gpus"] = host["gpus"][:1]
    host["gpus"][0] |= {
        "memory_free": 2 * GIB,
        "processes": [{"pid": 4711, "name": "python3", "memory": 14 * GIB, "server": None}],
    }
    monkeypatch.setattr(_look, "host_facts", lambda **_words: host)
    (problem,) = look(hub, tmp_path, [SERVERS["chat"]], "")["problems"]
    assert "4711" in problem
    # What our own server holds is free for what takes its place.
    host["held"] = {"chat": {"memory": 0, "gpus": {host["gpus"][0]["uuid"]: 14 * GIB}}}
    host["gpus"][0]["processes"][0]["server"] = "chat"
    assert look(hub, tmp_path, [SERVERS["chat"]], "")["problems"] == []


@pytest.mark.usefixtures("registry")
def test_a_driver_that_does_not_tell_who_holds_memory(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # WSL, virtual GPUs: our own server has filled the GPU, and nobody says so.
    host = facts("t4")
    host["gpus"] = [host["gpus"][0] | {"memory_free": GIB}]
    host["held"] = {"chat": {"memory": 0, "gpus": {}}}
    monkeypatch.setattr(_look, "host_facts", lambda **_words: host)
    assert look(hub, tmp_path, [SERVERS["chat"]], "")["problems"] == []
    host["gpus"][0]["processes"] = [{"pid": 4711, "name": "python3", "memory": 14 * GIB, "server": None}]
    assert "4711" in look(hub, tmp_path, [SERVERS["chat"]], "")["problems"][0]
