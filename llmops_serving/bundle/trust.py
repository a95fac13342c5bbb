# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trust a site's own authority besides those of the system, in programs that take one file of them."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from llmops_serving.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where distributions keep all authorities in one file: Debian, Red Hat, SUSE, macOS.
_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@contextlib.contextmanager
def trusted(ca: Path | None) -> Iterator[str | None]:
    """Give a file with the authorities to trust, for as long as the context lasts.

    Args:
        ca: Further authorities, PEM.

    Yields:
        The file; None where those of the system are enough.

    Raises:
        UsageError: There are none in the file.
    """
    if ca is None:
        yield None
        return
    try:
        text = ca.read_text(encoding="utf-8")
        # A context of its own: one with the system's authorities takes a file without any.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (OSError, ssl.SSLError, ValueError) as error:
        msg = f"--ca {ca}: holds no certificates that can be read ({error}); name a file in PEM"
        raise UsageError(msg) from error
    with tempfile.NamedTemporaryFile("w", prefix="llmops-ca-", suffix=".pem", encoding="utf-8") as file:
        file.write(f"{system_authorities()}\n{text}")
        file.flush()
        yield file.name


def system_authorities() -> str:
    """Read the authorities that the system trusts; "" where it does not keep them in one file."""
    told = [os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile]
    for name in (*told, *_FILES):
        if name and Path(name).is_file():
            return Path(name).read_text(encoding="utf-8", errors="replace")
    return ""
