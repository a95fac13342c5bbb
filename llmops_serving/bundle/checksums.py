# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find what is damaged in a bundle, before anything is served or sent from it."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_files import sha256_of
from ansible_collections.llmops.serving.plugins.module_utils._model_progress import CHECK
from llmops_serving.bundle.document import File
from llmops_serving.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from llmops_serving.bundle.document import Bundle
    from llmops_serving.bundle.progress import Bars

_CHUNK = 1 << 20
# A disk that turns is not faster for more readers, and a processor has its own.
_READERS = 8
_SHOWN = 10


def check_bundle(bundle: Bundle, folder: Path, bars: Bars) -> None:
    """Hash every file of a bundle, and compare.

    Args:
        bundle: What it says about itself.
        folder: Where it is.
        bars: Shows how far it has come.

    Raises:
        DriverError: Files are missing or damaged; it names them.
    """
    files = bundle.files()
    # Sizes are known at once, and what was not copied to its end shows itself by them.
    bad = [found for file in files if (found := _size_problem(folder / file.path, file))]
    if not bad:
        bars.plan("bundle", bundle.size, doing=CHECK)
        with ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1)) as pool:
            # The large ones first, so that none is left alone at the end.
            order = sorted(files, key=lambda file: file.size, reverse=True)
            try:
                problems = pool.map(lambda file: _content_problem(folder / file.path, file, bars), order)
                bad = [problem for problem in problems if problem]
            except BaseException:
                bars.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        bars.done("bundle")
    if bad:
        shown = "\n".join(f"  {line}" for line in sorted(bad)[:_SHOWN])
        more = f"\n  and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        msg = (
            f"the bundle {folder} is damaged, and nothing was served or changed:\n{shown}{more}\n"
            "copy these files again, or run `llmops bundle create --verify` where it was made: only they come again"
        )
        raise DriverError(msg)


def hash_files(folder: Path, paths: Iterable[Path]) -> tuple[File, ...]:
    """Describe files of a bundle.

    Args:
        folder: The bundle.
        paths: The files.

    Returns:
        Their descriptions, by path.
    """
    found = sorted(paths)
    with ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1)) as pool:
        sums = list(pool.map(sha256_of, found))
    return tuple(
        File(path.relative_to(folder).as_posix(), path.stat().st_size, sha256)
        for path, sha256 in zip(found, sums, strict=True)
    )


def _size_problem(path: Path, file: File) -> str:
    try:
        size = path.stat().st_size
    except OSError as error:
        return f"{file.path}: {'is missing' if isinstance(error, FileNotFoundError) else error.strerror}"
    return "" if size == file.size else f"{file.path}: has {size} bytes in the place of {file.size}"


def _content_problem(path: Path, file: File, bars: Bars) -> str:
    try:
        found = _sha256(path, lambda count: bars.add("bundle", count))
    except OSError as error:
        return f"{file.path}: cannot be read ({error.strerror or error})"
    return "" if found == file.sha256 else f"{file.path}: has sha256 {found} in the place of {file.sha256}"


def _sha256(path: Path, on_bytes: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(view[:count])
            on_bytes(count)
    return digest.hexdigest()
