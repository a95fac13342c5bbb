# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle's authority is made once, and vouches for whatever name its server gets."""

from __future__ import annotations

import datetime
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from llmops_serving.bundle import tls
from llmops_serving.bundle.tls import ensure_tls, given_tls
from llmops_serving.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def names_of(path: Path) -> list[str]:
    """Tell for which names a certificate is."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


def shake_hands(made: tls.Tls, name: str) -> None:
    """Connect to a server of this certificate, in memory."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.key)
    client = ssl.create_default_context(cadata=made.ca)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _round in range(3):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert sides[0].version() is not None


@pytest.mark.parametrize("names", [["10.0.0.5"], ["bundle.example"], ["bundle.example", "10.0.0.5"]])
def test_a_client_that_trusts_the_authority_trusts_the_server(tmp_path: Path, names: list[str]) -> None:
    made = ensure_tls(tmp_path / "tls", names)
    assert names_of(made.certificate) == names
    for name in names:
        shake_hands(made, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(made, "other.example")


def test_keys_are_for_nobody_else(tmp_path: Path) -> None:
    ensure_tls(tmp_path / "tls", ["10.0.0.5"])
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "tls").glob("*.key")} == {
        "ca.key": 0o600,
        "server.key": 0o600,
    }


def test_it_is_made_once_and_the_authority_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ensure_tls(tmp_path / "tls", ["10.0.0.5"])
    certificate = first.certificate.read_bytes()
    again = ensure_tls(tmp_path / "tls", ["10.0.0.5"])
    assert (again, again.certificate.read_bytes()) == (first, certificate)
    moved = ensure_tls(tmp_path / "tls", ["bundle.example"])
    assert moved.ca == first.ca
    assert names_of(moved.certificate) == ["bundle.example"]
    certificate = moved.certificate.read_bytes()
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=800)
    monkeypatch.setattr(tls, "_now", lambda: later)
    renewed = ensure_tls(tmp_path / "tls", ["bundle.example"])
    assert renewed.ca == first.ca
    assert renewed.certificate.read_bytes() != certificate
    monkeypatch.setattr(tls, "_now", lambda: later + datetime.timedelta(days=3000))
    assert ensure_tls(tmp_path / "tls", ["bundle.example"]).ca != first.ca


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written: .* \(--state\)"):
        ensure_tls(tmp_path / "file" / "tls", ["10.0.0.5"])


def test_a_site_may_have_its_own(tmp_path: Path) -> None:
    made = ensure_tls(tmp_path / "tls", ["10.0.0.5"])
    ca = tmp_path / "tls" / "ca.crt"
    assert given_tls(made.certificate, made.key, ca) == made
    assert given_tls(made.certificate, made.key, None).ca == ""
    with pytest.raises(UsageError, match="none cannot be read: No such file"):
        given_tls(made.certificate, tmp_path / "none", ca)
