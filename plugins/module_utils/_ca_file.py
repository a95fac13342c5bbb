# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that an inventory brings as text, for programs that read them from a file."""

from __future__ import annotations

import contextlib
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def ca_file(ca: str | None, ca_path: str | None = None) -> Iterator[str | None]:
    """Give a file with the certificates to trust, for as long as the context lasts.

    Args:
        ca: They themselves, PEM; nothing or empty for none.
        ca_path: A file of the host that has them, which wins.

    Yields:
        The file; None where the system's certificates are to be trusted.
    """
    if ca_path or not ca:
        yield ca_path or None
        return
    # A plan must not write to the host, and a host that was never applied to has no file yet; this one is gone with it.
    with tempfile.NamedTemporaryFile("w", prefix="llmops-ca-", suffix=".pem", encoding="ascii") as file:
        file.write(ca)
        file.flush()
        yield file.name
