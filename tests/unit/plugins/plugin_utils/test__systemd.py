# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._systemd import quote

WORDS = [
    (["docker", "run", "--publish", "127.0.0.1:8001:8080"], "docker run --publish 127.0.0.1:8001:8080"),
    (["a b"], '"a b"'),
    ([""], '""'),
    (['say "hi"'], r'"say \"hi\""'),
    (["100%"], '"100%%"'),
    (["$HOME"], '"$$HOME"'),
    (["back\\slash"], r'"back\\slash"'),
    (["two\nlines"], r'"two\nlines"'),
    (['{"a": "b"}'], r'"{\"a\": \"b\"}"'),
    (["привет мир"], '"привет мир"'),
    (["a;b"], '"a;b"'),
]


@pytest.mark.parametrize(("words", "line"), WORDS)
def test_quotes_as_systemd_reads(words: list[str], line: str) -> None:
    assert quote(words) == line


def test_refuses_what_no_program_can_receive() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quote(["a\0b"])
