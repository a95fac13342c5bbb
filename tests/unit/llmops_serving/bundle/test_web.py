# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ranges mean what RFC 9110 says."""

from __future__ import annotations

import pytest

from llmops_serving.bundle.web import Request, Span, json_answer, span_of

ETAG = '"tag"'


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"range": "bytes=0-9"}, Span(0, 10)),
        ({"range": "bytes=90-"}, Span(90, 100)),
        ({"range": "bytes=90-1000"}, Span(90, 100)),
        ({"range": "bytes=99-99"}, Span(99, 100)),
        ({"range": "bytes=-10"}, Span(90, 100)),
        ({"range": "bytes=-1000"}, Span(0, 100)),
        ({"range": "bytes=9-1"}, None),
        ({"range": "bytes=-"}, None),
        ({"range": "bytes=0-1,5-6"}, None),
        ({"range": "lines=0-1"}, None),
        ({"range": "bytes=5-", "if-range": ETAG}, Span(5, 100)),
        ({"range": "bytes=5-", "if-range": '"other"'}, None),
    ],
)
def test_ranges(headers: dict[str, str], expected: Span | None) -> None:
    assert span_of(Request("GET", "/x", headers=headers), 100, ETAG) == expected


@pytest.mark.parametrize("told", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_bytes_that_there_are_none_of(told: str) -> None:
    with pytest.raises(ValueError, match=r"^bytes \*/100$"):
        span_of(Request("GET", "/x", headers={"range": told}), 100, ETAG)


def test_json() -> None:
    answer = json_answer({"a": 1}, 404, {"X-More": "b"})
    assert (answer.status, answer.body) == (404, b'{"a": 1}')
    assert answer.headers == {"Content-Type": "application/json", "X-More": "b"}
