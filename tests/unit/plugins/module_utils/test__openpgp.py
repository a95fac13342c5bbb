# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys that gpg 2.2 made, and its fingerprints of them."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._openpgp import KeyFileError, armoured, primary_keys

KEYS = Path(__file__).parents[3] / "fixtures/host/repositories"
MIRROR = (KEYS / "mirror.asc").read_bytes()
OTHER = (KEYS / "other.asc").read_bytes()
MIRROR_FINGERPRINT = "9C533466DBFD5C72F68F4D84514723C7068A1360"
OTHER_FINGERPRINT = "2FC4D120FEEBCE95E73202B114CEAA0148A47342"
# The primary key of RFC 9580 appendix A.3, and its fingerprint there.
VERSION_6 = base64.b64decode("xioGY4d/4xsAAAAg+U2nu0jWCmHlZ3BqZYfQMxmZu52JGggkLq2EVD34laM=")
VERSION_6_FINGERPRINT = "CB186C4F0609A697E4D52DFA6C722B0C1F1E27C18A56708F6525EC27BAD9ACC9"


def bare(text: bytes) -> bytes:
    return base64.b64decode(b"".join(line for line in text.splitlines()[2:-1] if not line.startswith(b"=")))


FILES: list[tuple[str, bytes, list[str]]] = [
    ("armoured", MIRROR, [MIRROR_FINGERPRINT]),
    ("binary", bare(MIRROR), [MIRROR_FINGERPRINT]),
    ("two blocks", MIRROR + OTHER, [MIRROR_FINGERPRINT, OTHER_FINGERPRINT]),
    ("two in one", bare(OTHER) + bare(MIRROR), [OTHER_FINGERPRINT, MIRROR_FINGERPRINT]),
    ("words around it", b"Welcome\n\n" + MIRROR + b"\nbye\n", [MIRROR_FINGERPRINT]),
    ("a header", MIRROR.replace(b"\n\n", b"\nComment: made by hand\n\n", 1), [MIRROR_FINGERPRINT]),
    ("lines of Windows", MIRROR.replace(b"\n", b"\r\n"), [MIRROR_FINGERPRINT]),
    ("no checksum", re.sub(rb"\n=.*\n", b"\n", MIRROR), [MIRROR_FINGERPRINT]),
    ("version 6", VERSION_6, [VERSION_6_FINGERPRINT]),
]


@pytest.mark.parametrize(("data", "fingerprints"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_tells_fingerprints(data: bytes, fingerprints: list[str]) -> None:
    assert [key.fingerprint for key in primary_keys(data)] == fingerprints


def test_a_key_can_be_cut_out() -> None:
    first, second = primary_keys(MIRROR + OTHER)
    assert (first.block, second.block) == (bare(MIRROR), bare(OTHER))
    assert primary_keys(armoured(second.block).encode()) == [second]


def test_armour_is_that_of_gpg() -> None:
    assert armoured(bare(MIRROR)).encode() == MIRROR


NO_KEYS: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "neither armour nor packets"),
    ("a page", b"<!DOCTYPE html><html>log in</html>", "neither armour nor packets"),
    ("cut off", bare(MIRROR)[:-9], "cut off"),
    ("cut off in a header", bare(MIRROR)[:1], "cut off"),
    ("damaged", MIRROR.replace(b"mQEN", b"m*EN"), "armour is damaged"),
    ("not a key first", b"\xb4\x01x" + bare(MIRROR), "no public key"),
    ("a signature only", b"\x88\x01x", "no public key"),
    ("rubbish behind it", bare(MIRROR) + b"xxxx", "packets are damaged"),
    ("version 3", b"\x98\x02\x03x", "a key of version 3"),
    ("without a length", b"\x9b\x04x", "no length"),
    ("in parts", b"\xc6\xe1x", "in parts"),
]


@pytest.mark.parametrize(("data", "words"), [row[1:] for row in NO_KEYS], ids=[row[0] for row in NO_KEYS])
def test_refuses_what_is_no_key(data: bytes, words: str) -> None:
    with pytest.raises(KeyFileError, match=words):
        primary_keys(data)


@pytest.mark.skipif(shutil.which("gpg") is None, reason="no gpg on this machine")
def test_gpg_says_the_same(tmp_path: Path) -> None:
    words = ["gpg", "--homedir", str(tmp_path), "--with-colons", "--show-keys", str(KEYS / "mirror.asc")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603  a fixed command
    assert f"fpr:::::::::{MIRROR_FINGERPRINT}:" in done.stdout.splitlines()
