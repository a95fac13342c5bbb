# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host

STORE = "/var/lib/llmops/models"
MODELS = ["tiny-chat", "minilm", "tiny-rerank", "tiny-classify"]


@pytest.mark.parametrize("name", MODELS)
def test_every_file_is_what_its_manifest_says(host: Host, name: str) -> None:
    manifest = host.check_output(f"ls {STORE}/{name}/*.json | grep -v marks")
    record = json.loads(host.file(manifest).content_string)
    assert record["files"]
    for entry in record["files"]:
        path = f"{manifest.removesuffix('.json')}/{entry['path']}"
        assert host.file(path).size == entry["size"]
        assert host.file(path).sha256sum == entry["sha256"]


def test_weights_are_weights(host: Host) -> None:
    gguf = host.check_output(f"head -c 4 {STORE}/tiny-chat/*/tiny-chat.gguf")
    assert gguf == "GGUF"
    assert host.check_output(f"stat -c %s {STORE}/minilm/*/model.safetensors") > "1000"


def test_nothing_bad_and_nothing_half_is_visible(host: Host) -> None:
    assert sorted(host.check_output(f"ls {STORE}").split()) == sorted(MODELS)
    assert host.check_output(f"find {STORE}/.partial -type f 2>/dev/null | wc -l") == "0"
