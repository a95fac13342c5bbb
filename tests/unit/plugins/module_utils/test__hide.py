# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _generations
from ansible_collections.llmops.serving.plugins.module_utils._hide import HIDDEN, Veil, veil_of_host

if TYPE_CHECKING:
    from pathlib import Path

KEY = 'sk-1"2/3'
# How engines are given their keys (`server_secrets`), and how they may write them.
KEPT = [
    f"{KEY}\nsk-other\n",
    json.dumps({"api-key": KEY}) + "\n",
    json.dumps({"api-key": [KEY, "sk-other"]}) + "\n",
    f"VLLM_API_KEY='{KEY}'\n",
    KEY,
]
WRITTEN = [f"api_key={KEY}", json.dumps({"api_key": KEY}), f"args: {[KEY]!r}", "GET /v1?key=sk-1%222%2F3"]


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("line", WRITTEN)
def test_covers_a_key_however_it_is_kept_and_written(kept: str, line: str) -> None:
    covered = Veil([kept]).cover(line)
    assert HIDDEN in covered
    assert "sk-1" not in covered


def test_covers_every_key_of_a_file_and_leaves_the_rest() -> None:
    veil = Veil(["sk-one\nsk-one-more\n", '{"api-key": "sk-two", "log": {"level": "sk-three"}}'])
    assert veil.cover("sk-one-more sk-one sk-two sk-three api-key") == " ".join([HIDDEN] * 4) + " api-key"


def test_without_secrets_nothing_is_covered() -> None:
    assert Veil([]).cover("a line") == Veil(["\n\n"]).cover("a line") == "a line"


def test_knows_the_keys_of_all_generations_whole_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_generations, "STATE_DIR", tmp_path)
    kept = {
        "chat/0001/client-key": "sk-old",
        "chat/0002/secrets/api-key": "sk-new\nsk-second\n",
        "embed/0001/client-key": "sk-embed",
    }
    for name, text in kept.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    assert veil_of_host().cover("sk-old sk-new sk-second sk-embed") == " ".join([HIDDEN] * 4)
    assert veil_of_host(tmp_path / "none").cover("sk-old") == "sk-old"
