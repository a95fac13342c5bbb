# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The heads of models' files, from a store and from a hub: few requests, and never an exception."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _shape_read
from ansible_collections.llmops.serving.plugins.module_utils._model_http import (
    NO_AUTH,
    Answer,
    Auth,
    HttpClient,
    Retry,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_plan import ModelPlan, plan_models
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec
from ansible_collections.llmops.serving.plugins.module_utils._shape_read import read_shapes
from tests.unit.plugins.fake_hub import FakeHub, Fault, fake_hub, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._shape import Shape

REV = "0123456789abcdef0123456789abcdef01234567"
CONFIG = json.dumps(
    {
        "model_type": "llama",
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_hidden_layers": 3,
        "torch_dtype": "bfloat16",
        "vocab_size": 100,
    }
).encode()
TOKEN = "hub-secret"  # noqa: S105 - the fake hub's


def safetensors(count: int = 32, padding: int = 0) -> bytes:
    head = {
        "w": {"dtype": "BF16", "shape": [count], "data_offsets": [0, 2 * count]},
        "__metadata__": {"p": "x" * padding},
    }
    header = json.dumps(head).encode()
    return struct.pack("<Q", len(header)) + header + bytes(2 * count)


def gguf(padding: int = 0, tensors: int = 1) -> bytes:
    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    pairs = [text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")]
    for key, value in (("embedding_length", 64), ("block_count", 3), ("attention.head_count", 4)):
        pairs.append(text(b"llama." + key.encode()) + struct.pack("<II", 4, value))
    pairs.append(text(b"tokenizer.chat_template") + struct.pack("<I", 8) + text(b"x" * padding))
    data = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(pairs)) + b"".join(pairs)
    for _tensor in range(tensors):
        data += text(b"w") + struct.pack("<IQIQ", 1, 256, 12, 0)
    return data + bytes(144 * tensors)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path / "hub") as running:
        yield running


def client() -> HttpClient:
    return HttpClient(timeout=5, retry=Retry(attempts=2, base=0.01), sleep=lambda _seconds: None)


def offer(fake: FakeHub, files: dict[str, bytes], repo: str = "a/b") -> ModelPlan:
    for path, data in files.items():
        fake.add_file(repo, REV, path, data, lfs=not path.endswith(".json"))
    return ModelPlan(False, 1, None, spec=ModelSpec("x", "repo", repo, REV), files=tuple(files))


def read(fake: FakeHub, tmp_path: Path, plan: ModelPlan, token: str = "") -> Shape | None:
    return read_shapes({"x": plan}, path=str(tmp_path), hub_url=fake.url, token=token, client=client())["x"]


def test_an_ordinary_model_takes_two_requests(fake: FakeHub, tmp_path: Path) -> None:
    plan = offer(fake, {"config.json": CONFIG, "model.safetensors": safetensors(), "README.md": b"#"})
    found = read(fake, tmp_path, plan)
    assert found is not None
    assert (found.weight_bytes, found.tensors, found.layers, found.cache_bytes(10, 2)) == (64, 1, 3, 3 * 64 * 10 * 2)
    assert len(fake.requests("hub GET")) == 2
    assert [seen.headers["range"] for seen in fake.requests("cdn GET")] == [f"bytes=0-{(1 << 20) - 1}"]


def test_a_long_header_is_asked_for_once_more(fake: FakeHub, tmp_path: Path) -> None:
    data = safetensors(padding=3 << 20)
    plan = offer(fake, {"config.json": CONFIG, "model.safetensors": data})
    found = read(fake, tmp_path, plan)
    assert found is not None
    assert found.weight_bytes == 64
    ranges = [seen.headers["range"] for seen in fake.requests("cdn GET")]
    assert ranges == [f"bytes=0-{(1 << 20) - 1}", f"bytes={1 << 20}-{len(data) - 64 - 1}"]


def test_all_files_of_a_split_model_and_none_of_another_folder(fake: FakeHub, tmp_path: Path) -> None:
    files = {f"model-{part}-of-3.safetensors": safetensors(32) for part in range(3)}
    files["2_Dense/model.safetensors"] = safetensors(1000)
    files["1_Pooling/config.json"] = b"{}"
    found = read(fake, tmp_path, offer(fake, {**files, "config.json": CONFIG}))
    assert found is not None
    assert (found.weight_bytes, found.tensors) == (192, 3)


def test_a_model_below_a_folder(fake: FakeHub, tmp_path: Path) -> None:
    files = {"1_Pooling/config.json": b"{}", "0_Transformer/config.json": CONFIG}
    found = read(fake, tmp_path, offer(fake, {**files, "0_Transformer/model.safetensors": safetensors()}))
    assert found is not None
    assert found.weight_bytes == 64


@pytest.mark.parametrize("total", [9000, 9000.0])
def test_many_files_are_asked_by_their_index(fake: FakeHub, tmp_path: Path, total: float) -> None:
    index = {"metadata": {"total_size": total}, "weight_map": {"a": "model-0", "b": "model-1"}}
    files = {f"model-{part}.safetensors": safetensors() for part in range(9)}
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    found = read(fake, tmp_path, offer(fake, {**files, "config.json": CONFIG}))
    assert found is not None
    assert (found.weight_bytes, found.tensors, found.parameters, found.dtype) == (9000, 2, 4500, "bfloat16")
    assert len(fake.seen) == 2


@pytest.mark.parametrize(
    ("padding", "ends"),
    [(0, [1]), (2 << 20, [1, 4]), (9 << 20, [1, 16])],
)
def test_gguf_is_read_on_while_its_header_goes_on(fake: FakeHub, tmp_path: Path, padding: int, ends: list[int]) -> None:
    plan = offer(fake, {"x.gguf": gguf(padding), "mmproj-x.gguf": b"no"})
    found = read(fake, tmp_path, plan)
    assert found is not None
    assert (found.weight_bytes, found.quantization, found.cache_bytes(1, 1)) == (144, "gguf", 3 * 128)
    # In MiB, where each request ends.
    assert [(int(seen.headers["range"].split("-")[1]) + 1) >> 20 for seen in fake.requests("cdn GET")] == ends


def test_parts_of_a_split_gguf(fake: FakeHub, tmp_path: Path) -> None:
    files = {f"q4/x-0000{part}-of-00003.gguf": gguf(tensors=part) for part in (1, 2, 3)}
    found = read(fake, tmp_path, offer(fake, files))
    assert found is not None
    assert (found.tensors, found.weight_bytes) == (6, 6 * 144)


@pytest.mark.parametrize("kind", ["file", "url"])
def test_single_files(fake: FakeHub, tmp_path: Path, kind: str) -> None:
    data = gguf()
    fake.add_file("a/b", REV, "deep/x.gguf", data)
    models = {
        "file": {"repo": "a/b", "revision": REV, "file": "deep/x.gguf"},
        "url": {"url": f"{fake.url}/a/b/resolve/{REV}/deep/x.gguf", "sha256": sha256(data)},
    }
    options: dict[str, Any] = {"path": str(tmp_path), "hub_url": fake.url, "token": TOKEN, "client": client()}
    plans = plan_models({"x": models[kind]}, **options)
    found = read_shapes(plans, **options)["x"]
    assert found is not None
    assert found.weight_bytes == 144
    # A url model's host is not the hub, even where it is.
    sent = {seen.headers.get("authorization") for seen in fake.requests("hub GET")}
    assert sent == ({f"Bearer {TOKEN}"} if kind == "file" else {None})


def test_the_token_goes_to_the_hub_alone(fake: FakeHub, tmp_path: Path) -> None:
    fake.token = TOKEN
    plan = offer(fake, {"config.json": CONFIG, "model.safetensors": safetensors()})
    assert read(fake, tmp_path, plan) is None
    assert read(fake, tmp_path, plan, TOKEN) is not None
    assert {seen.headers.get("authorization") for seen in fake.requests("cdn")} == {None}


def test_a_hub_that_does_not_list_its_files(fake: FakeHub, tmp_path: Path) -> None:
    plan = offer(fake, {"config.json": CONFIG, "model.safetensors": safetensors()})
    unlisted = ModelPlan(False, None, None, spec=plan.spec)
    found = read(fake, tmp_path, unlisted)
    assert found is not None
    assert found.weight_bytes == 64
    del fake.files[f"/a/b/resolve/{REV}/model.safetensors"]
    assert read(fake, tmp_path, unlisted) is None
    offer(fake, {"model.safetensors.index.json": b'{"metadata": {"total_size": 640}}'})
    found = read(fake, tmp_path, unlisted)
    assert found is not None
    assert found.weight_bytes == 640


def test_pickle_by_the_size_of_its_files(fake: FakeHub, tmp_path: Path) -> None:
    found = read(fake, tmp_path, offer(fake, {"config.json": CONFIG, "pytorch_model.bin": b"\x80" * 3000}))
    assert found is not None
    assert (found.weight_bytes, found.tensors, found.parameters) == (3000, 0, 1500)


class NoRanges(HttpClient):
    """As if the server did not know ranges: it sends every file from its start."""

    def open(self, url: str, auth: Auth = NO_AUTH, headers: Any = None, body: bytes | None = None) -> Answer:
        assert "Range" in headers
        return super().open(url, auth, {}, body)


@pytest.mark.parametrize(
    "files",
    [{"x.gguf": gguf(2 << 20)}, {"config.json": CONFIG, "model.safetensors": safetensors(72, padding=2 << 20)}],
)
def test_a_hub_without_ranges_is_read_from_the_start(fake: FakeHub, tmp_path: Path, files: dict[str, bytes]) -> None:
    plans = {"x": offer(fake, files)}
    found = read_shapes(plans, path=str(tmp_path), hub_url=fake.url, client=NoRanges(timeout=5))["x"]
    assert found is not None
    assert found.weight_bytes == 144


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": b"#"},
        {"config.json": CONFIG},
        {"config.json": b"<html>", "model.safetensors": safetensors()},
        {"config.json": b"[]", "model.safetensors": safetensors()},
        {"config.json": b"{}", "model.safetensors": safetensors()},
        {"config.json": CONFIG + b" " * (4 << 20), "model.safetensors": safetensors()},
        {"config.json": CONFIG, "model.safetensors": safetensors()[:50]},
        {"config.json": CONFIG, "model.safetensors": b""},
        {"config.json": CONFIG, "model.safetensors": b"version https://git-lfs.github.com/spec/v1\n"},
        {"x.gguf": gguf()[:100]},
        {"x.gguf": b"<!doctype html>"},
        {"x.gguf": gguf(), "y.gguf": gguf()},
    ],
)
def test_files_that_do_not_say(fake: FakeHub, tmp_path: Path, files: dict[str, bytes]) -> None:
    assert read(fake, tmp_path, offer(fake, files)) is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/resolve/", 401, {"X-Error-Code": "GatedRepo"}),
        Fault("cdn GET", 403),
        Fault("config.json", 404),
        Fault("hub GET", 503),
        Fault("hub GET", 302, {"Location": "ftp://elsewhere/x"}),
        Fault("cdn GET", cut=20),
        Fault("cdn GET", body=b"<html>"),
    ],
)
def test_a_hub_that_does_not_answer(fake: FakeHub, tmp_path: Path, fault: Fault) -> None:
    plan = offer(fake, {"config.json": CONFIG, "model.safetensors": safetensors()})
    fake.faults.append(fault)
    assert read(fake, tmp_path, plan) is None


def test_a_header_longer_than_the_limit(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shape_read, "_GGUF_MAX", 3 << 20)
    assert read(fake, tmp_path, offer(fake, {"x.gguf": gguf(2 << 20)})) is not None
    assert read(fake, tmp_path, offer(fake, {"y.gguf": gguf(4 << 20)})) is None


def test_from_the_store_without_a_hub(tmp_path: Path) -> None:
    spec = ModelSpec("x", "repo", "a/b", REV)
    single = ModelSpec("y", "file", "a/c", REV, ("deep/x.gguf",))
    for place, data in {
        f"x/{REV[:12]}/config.json": CONFIG,
        f"x/{REV[:12]}/model.safetensors": safetensors(),
        f"y/{REV[:12]}/x.gguf": gguf(),
    }.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(data)
    plans = {
        "y": ModelPlan(True, 0, None, spec=single, files=("x.gguf",)),
        "x": ModelPlan(True, 0, None, spec=spec, files=("config.json", "model.safetensors")),
        "gone": ModelPlan(True, 0, None, spec=ModelSpec("z", "repo", "a/b", REV), files=("x.gguf",)),
        "elsewhere": ModelPlan(False, 1, None, spec=spec, files=("config.json", "model.safetensors")),
    }
    found = read_shapes(plans, path=str(tmp_path), hub_url="no address")
    assert list(found) == ["y", "x", "gone", "elsewhere"]
    assert {name: shape and shape.weight_bytes for name, shape in found.items()} == {
        "y": 144,
        "x": 64,
        "gone": None,
        "elsewhere": None,
    }


def test_a_plan_with_a_problem_asks_nobody(fake: FakeHub, tmp_path: Path) -> None:
    offered = offer(fake, {"config.json": CONFIG, "model.safetensors": safetensors()})
    for plan in (
        ModelPlan(False, None, "gated", spec=offered.spec, files=offered.files),
        ModelPlan(False, None, "wrong name"),
    ):
        assert read(fake, tmp_path, plan) is None
    assert fake.seen == []
    assert read_shapes({}, path=str(tmp_path), hub_url=fake.url) == {}
