# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever is wrong with a file of a bundle, its name is told."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from llmops_serving.bundle.checksums import check_bundle, hash_files
from llmops_serving.bundle.document import Bundle, File
from llmops_serving.errors import DriverError
from tests.unit.llmops_serving.bundle.conftest import bars

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def a_bundle(folder: Path, count: int = 3) -> Bundle:
    """Give a bundle of some files."""
    for number in range(count):
        path = folder / "images" / f"file{number:02}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"content %d" % number)
    return Bundle("", (), (), (), (), hash_files(folder, folder.glob("images/*")))


def test_files_are_described(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"content")
    assert hash_files(tmp_path, [tmp_path / "sub" / "file"]) == (
        File("sub/file", 7, hashlib.sha256(b"content").hexdigest()),
    )


def test_a_sound_bundle_is_found_sound(tmp_path: Path) -> None:
    check_bundle(a_bundle(tmp_path), tmp_path, bars())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flip, "images/file01: has sha256"),
        (lambda path: path.write_bytes(b"short"), "images/file01: has 5 bytes in the place of 9"),
        (lambda path: path.unlink(), "images/file01: is missing"),
        (lambda path: (path.unlink(), path.mkdir()), "images/file01: "),
    ],
)
def test_damage_has_a_name(tmp_path: Path, damage: Callable[[Path], object], says: str) -> None:
    bundle = a_bundle(tmp_path)
    damage(tmp_path / "images" / "file01")
    with pytest.raises(DriverError) as caught:
        check_bundle(bundle, tmp_path, bars())
    assert says in str(caught.value)
    assert "is damaged, and nothing was served or changed" in str(caught.value)
    assert "file00" not in str(caught.value)
    assert "llmops bundle create --verify" in str(caught.value)


def test_much_damage_is_counted(tmp_path: Path) -> None:
    bundle = a_bundle(tmp_path, 14)
    for path in (tmp_path / "images").iterdir():
        flip(path)
    with pytest.raises(DriverError, match="and 4 more"):
        check_bundle(bundle, tmp_path, bars())
