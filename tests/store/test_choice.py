# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files of a repository come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.place import Place, Want
    from tests.store.proxy import Proxy

FIRST = "model-00001-of-00008.safetensors"


def choose(model: Want, names: list[str], **options: list[str]) -> Want:
    """Give a model of which only some files are wanted."""
    files = {name: facts for name, facts in model.files.items() if name in names}
    weights = sum(facts.size for name, facts in files.items() if name.endswith(".safetensors"))
    return replace(model, options={**model.options, **options}, files=files, weights=weights)


@pytest.mark.parametrize(
    ("names", "options"),
    [
        ([FIRST, "config.json", "1_Pooling/config.json"], {"include": [FIRST, "config.json"]}),
        ([FIRST, "config.json", "alias.json", "1_Pooling/config.json"], {"include": ["*00001-of*", "*.json"]}),
        ([FIRST, "LICENSE"], {"include": ["model-*.safetensors", "LICENSE"], "exclude": ["model-0000[2-8]*"]}),
        ([FIRST, "config.json"], {"exclude": ["model-0000[2-8]*", "LICENSE", "alias.*", "1_Pooling/*", ".git*"]}),
    ],
)
def test_only_what_is_chosen_comes(
    place: Place, proxy: Proxy, want: Callable[[str], Want], names: list[str], options: dict[str, Any]
) -> None:
    model = choose(want("shards"), names, **options)
    place.fetch(model)
    place.must_hold(model)
    assert proxy.sent() <= model.weights * 1.01
    assert not place.fetch(model)["changed"]


def test_another_choice_fetches_and_removes_the_difference(
    place: Place, proxy: Proxy, want: Callable[[str], Want]
) -> None:
    names = [f"model-0000{part}-of-00008.safetensors" for part in (1, 2, 3)]
    first = choose(want("shards"), names[:2], include=names[:2])
    second = choose(want("shards"), names[1:], include=names[1:])
    place.fetch(first)
    proxy.forget()
    place.fetch(second)
    place.must_hold(second)
    assert proxy.sent() <= second.files[names[2]].size * 1.01


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"include": ["*.none"]}, "serving_models['shards']"),
        ({"include": "*.json"}, "serving_models['shards'].include: expected a list"),
        ({"exclude": [1]}, "serving_models['shards'].exclude: expected a list"),
        ({"exclude": ["*.safetensors"]}, "serving_models['shards']"),
        ({"include": ["*"], "file": "model.gguf"}, "serving_models['shards'].include: belongs to a whole repository"),
    ],
)
def test_a_choice_that_cannot_be(
    place: Place, proxy: Proxy, want: Callable[[str], Want], options: dict[str, Any], words: str
) -> None:
    model = want("shards")
    assert words in place.fails({model.name: {**model.options, **options}})
    assert proxy.sent() == 0
    assert place.visible(model) == []
