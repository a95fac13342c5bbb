# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from llmops_serving.lab import pki
from llmops_serving.lab.state import Paths

if TYPE_CHECKING:
    from pathlib import Path


def test_a_certificate_is_for_names_and_addresses(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.pki.mkdir(parents=True)
    for folder in (paths.pki, paths.api_key.parent, paths.ssh_key.parent):
        folder.mkdir(exist_ok=True)
    pki.ensure_secrets(paths)
    certificate, key = pki.ensure_certificate(paths, "service", ["hub.lab", "127.0.0.1", "::1"])
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["hub.lab"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert key.stat().st_mode & 0o777 == 0o600
