# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a wanted model may say."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_spec import (
    ModelError,
    ModelSpec,
    parse_hub_url,
    parse_models,
    public_url,
)

REV = "0123456789abcdef0123456789abcdef01234567"
SHA = "ab" * 32


def spec_of(**options: Any) -> ModelSpec:
    specs, problems = parse_models({"x": options})
    assert problems == {}
    return specs[0]


@pytest.mark.parametrize(
    ("options", "kind", "key", "files"),
    [
        ({"repo": "a/b", "revision": REV}, "repo", REV[:12], ()),
        ({"repo": "group/sub/b", "revision": REV.upper()}, "repo", REV[:12], ()),
        ({"repo": "a/b", "revision": REV, "file": "sub/x.gguf", "sha256": SHA}, "file", REV[:12], ("sub/x.gguf",)),
        ({"url": "https://h/p/x%20y.gguf?s=1", "sha256": SHA}, "url", SHA[:12], ("x y.gguf",)),
        # Without a digest the address tells versions apart.
        ({"url": "https://h/x.gguf"}, "url", "780894bd139d", ("x.gguf",)),
        ({"repo": "a/b", "revision": REV, "file": "x.pt", "allow_pickle": True}, "file", REV[:12], ("x.pt",)),
        (
            {"repo": "a/b", "revision": REV, "file": "q-00001-of-00002.gguf", "task": "chat"},
            "file",
            REV[:12],
            ("q-00001-of-00002.gguf", "q-00002-of-00002.gguf"),
        ),
    ],
)
def test_good(options: dict[str, Any], kind: str, key: str, files: tuple[str, ...]) -> None:
    spec = spec_of(**options)
    assert (spec.kind, spec.key, spec.files) == (kind, key, files)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("text", "serving_models['x']: expected a mapping"),
        ({}, "serving_models['x']: set either repo (with revision) or url (with sha256)"),
        ({"repo": "a/b", "url": "https://h/x", "revision": REV}, "serving_models['x']: set either"),
        ({"repo": "a/b", "revison": REV}, "serving_models['x'].revison: unknown option; did you mean 'revision'?"),
        ({"repo": "a/b"}, "serving_models['x'].revision: it is not set; pin a commit"),
        ({"repo": "a/b", "revision": "main"}, "serving_models['x'].revision: 'main' is a branch, a tag or a short id"),
        ({"repo": "a/b", "revision": REV[:12]}, "is a branch, a tag or a short id; pin a commit, all 40"),
        ({"repo": "a/b", "revision": 1234}, "serving_models['x'].revision: expected text; put the value in quotes"),
        ({"repo": "b", "revision": REV}, "serving_models['x'].repo: 'b' is no owner/name"),
        ({"repo": "a/../b", "revision": REV}, "serving_models['x'].repo:"),
        ({"repo": "-a/b", "revision": REV}, "serving_models['x'].repo:"),
        ({"repo": "a/b", "revision": REV, "sha256": SHA}, "serving_models['x'].sha256: belongs to a single file"),
        ({"repo": "a/b", "revision": REV, "file": "../x.gguf"}, "serving_models['x'].file: '../x.gguf' is no path"),
        ({"repo": "a/b", "revision": REV, "file": "/x.gguf"}, "serving_models['x'].file:"),
        ({"repo": "a/b", "revision": REV, "file": "x.gguf", "sha256": "12"}, "expected 64 hexadecimal digits"),
        (
            {"repo": "a/b", "revision": REV, "file": "pytorch_model.bin"},
            "serving_models['x'].file: 'pytorch_model.bin' is",
        ),
        ({"repo": "a/b", "revision": REV, "file": "q-00002-of-00002.gguf"}, "name the first part"),
        (
            {"repo": "a/b", "revision": REV, "file": "q-00001-of-00002.gguf", "sha256": SHA},
            "serving_models['x'].sha256: 'q-00001-of-00002.gguf' has 2 parts",
        ),
        ({"url": "https://h:99999/x.gguf"}, "serving_models['x'].url: expected an http(s) address"),
        ({"url": "https://[::1/x.gguf"}, "serving_models['x'].url: expected an http(s) address"),
        ({"url": "https://h/x.gguf", "include": ["*"]}, "serving_models['x'].include: belongs to a whole repository"),
        (
            {"repo": "a/b", "revision": REV, "file": "x.gguf", "exclude": ["*"]},
            "serving_models['x'].exclude: belongs to a whole repository",
        ),
        ({"repo": "a/b", "revision": REV, "include": "*.json"}, "serving_models['x'].include: expected a list"),
        ({"repo": "a/b", "revision": REV, "include": []}, "serving_models['x'].include: expected a list"),
        ({"repo": "a/b", "revision": REV, "exclude": ["*.bin", ""]}, "serving_models['x'].exclude: expected a list"),
        ({"repo": "a/b", "revision": REV, "exclude": [1]}, "serving_models['x'].exclude: expected a list"),
        ({"url": "ftp://h/x.gguf", "sha256": SHA}, "serving_models['x'].url: expected an http(s) address"),
        ({"url": "https://u:p@h/x.gguf", "sha256": SHA}, "serving_models['x'].url: it carries a credential"),
        ({"url": "https://h/", "sha256": SHA}, "serving_models['x'].url: its path must end in a file name"),
        ({"url": "https://h/..%2f", "sha256": SHA}, "serving_models['x'].url: its path must end in a file name"),
        ({"url": "https://h/x.gguf", "sha256": SHA, "revision": REV}, "serving_models['x'].revision: belongs to repo"),
        ({"url": "https://h/x.ckpt", "sha256": SHA}, "serving_models['x'].url: 'x.ckpt' is a pickle format"),
        (
            {"repo": "a/b", "revision": REV, "allow_pickle": "yes"},
            "serving_models['x'].allow_pickle: expected true or false",
        ),
        ({"repo": "a/b", "revision": REV, "task": "talk"}, "serving_models['x'].task: 'talk' is none of chat"),
    ],
)
def test_bad(options: Any, message: str) -> None:
    specs, problems = parse_models({"x": options})
    assert specs == []
    assert message in problems["x"]


def test_patterns() -> None:
    spec = spec_of(repo="a/b", revision=REV, include=["*.json", "onnx/*"], exclude=["*.md"])
    assert (spec.include, spec.exclude) == (("*.json", "onnx/*"), ("*.md",))
    plain = spec_of(repo="a/b", revision=REV, include=None)
    assert (plain.include, plain.exclude) == ((), ())


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "", "-x", "x y"])
def test_bad_name(name: str) -> None:
    _specs, problems = parse_models({name: {"repo": "a/b", "revision": REV}})
    assert "the name may hold letters" in problems[name]


def test_one_bad_model_does_not_hide_the_others() -> None:
    specs, problems = parse_models({"a": {"repo": "a/b", "revision": REV}, "b": {}, "c": {"url": 1}})
    assert [spec.name for spec in specs] == ["a"]
    assert sorted(problems) == ["b", "c"]


@pytest.mark.parametrize(
    ("url", "token", "message"),
    [
        ("huggingface.co", "", "no http(s) address"),
        ("https://hub:port", "", "no http(s) address"),
        ("https://u:p@hub", "", "carries a credential"),
        ("http://hub.lab", "secret", "clear text"),
        ("https://hub.lab", "sec ret", "serving_hub_token"),
        ("https://hub.lab", "secret\n", "serving_hub_token"),
    ],
)
def test_bad_hub(url: str, token: str, message: str) -> None:
    with pytest.raises(ModelError) as error:
        parse_hub_url(url, token)
    assert message in str(error.value)
    assert not token or token not in str(error.value)


def test_hub_url() -> None:
    assert parse_hub_url("https://hub.lab/models/", "t") == "https://hub.lab/models"
    assert parse_hub_url("http://127.0.0.1:1", "t") == "http://127.0.0.1:1"


def test_public_url_has_no_signature() -> None:
    assert public_url("https://h/x.gguf?X-Amz-Signature=1#f") == "https://h/x.gguf"
