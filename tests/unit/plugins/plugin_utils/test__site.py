# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._site import format_of


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"repo": "a/b"}, "safetensors"),
        ({"repo": "a/b", "file": "sub/X.GGUF"}, "gguf"),
        ({"url": "https://files.example/x.gguf"}, "gguf"),
        ({"url": "https://files.example/x.gguf?signature=s"}, "gguf"),
        ({"url": "https://files.example/x.safetensors?name=x.gguf"}, "safetensors"),
    ],
)
def test_format_of(model: dict[str, str], expected: str) -> None:
    assert format_of(model) == expected
