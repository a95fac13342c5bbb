# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The repositories that the tests fetch: of random bytes, so that no piece can stand for another."""

from __future__ import annotations

import random

from llmops_serving.lab.gitrepo import Submodule, Symlink
from llmops_serving.lab.hub import Repo, Source
from tests.unit.plugins import fake_hub

MIB = 1 << 20
CONFIG = b'{"architectures": ["Qwen2ForCausalLM"]}\n'
LICENCE = b"Anybody may do anything with this.\n"


def safetensors(seed: str, size: int) -> bytes:
    """A whole safetensors file with one tensor of `size` random bytes."""
    return fake_hub.safetensors(size)[:-size] + random.Random(seed).randbytes(size)  # noqa: S311 - no secret


def gguf(seed: str, size: int) -> bytes:
    """A whole GGUF file with one tensor of `size` random bytes."""
    return fake_hub.gguf(size // 4)[:-size] + random.Random(seed).randbytes(size)  # noqa: S311 - no secret


def shards(count: int, size: int) -> dict[str, Source]:
    """Give a model's weights in several files."""
    names = [f"model-{part + 1:05d}-of-{count:05d}.safetensors" for part in range(count)]
    return {name: Source(safetensors(name, size)) for name in names}


def repositories() -> dict[str, Repo]:
    """Give all repositories."""
    card = {"config.json": Source(CONFIG), "LICENSE": Source(LICENCE)}
    small = {
        **card,
        "model.safetensors": Source(safetensors("small", MIB)),
        "model.gguf": Source(gguf("small", MIB)),
    }
    copy = Source(safetensors("copy", 64 << 10))
    return {
        "store/shards": Repo(
            {
                **card,
                **shards(8, 8 * MIB),
                "1_Pooling/config.json": Source(b"{}\n"),
                # Second copies of the weights, which no server needs.
                "consolidated.safetensors": copy,
                "original/model.safetensors": copy,
                "pytorch_model.bin": copy,
                "tf_model.h5": Source(b"weights of another framework"),
            },
            others={"alias.json": Symlink("config.json")},
        ),
        "store/one": Repo({**card, "model.safetensors": Source(safetensors("one", 64 * MIB))}),
        "store/file": Repo({**card, "gguf/model.gguf": Source(gguf("file", 32 * MIB))}),
        "store/split": Repo(
            {f"big-{part:05d}-of-00003.gguf": Source(gguf(f"part {part}", 12 * MIB)) for part in (1, 2, 3)}
        ),
        "store/small": Repo(small),
        "store/gated": Repo(small, gated=True),
        "store/submodule": Repo(small, others={"vendor/other": Submodule("1" * 40)}),
        "store/leaving": Repo(small, others={"passwd": Symlink("../../etc/passwd")}),
        "store/absolute": Repo(small, others={"passwd": Symlink("/etc/passwd")}),
    }
