# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle's own authority, and the certificate of the server: made once where it is served, and kept there.

The authority stays when the server's address or its certificate changes, so hosts that trust it need nothing new.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from llmops_serving.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CA_LIFE = datetime.timedelta(days=3650)
# The longest that clients accept for a server.
_SERVER_LIFE = datetime.timedelta(days=825)
# What ends sooner is made anew, so that a long load does not end with it.
_RENEW = datetime.timedelta(days=60)
# Clocks where there is no internet differ.
_SLACK = datetime.timedelta(days=2)


@dataclass(frozen=True)
class Tls:
    """What a server shows, and whom its clients must trust.

    Attributes:
        certificate: The file with the server's certificate, and what leads to the authority.
        key: The file with its key.
        ca: The authority, PEM; empty where clients trust it already.
    """

    certificate: Path
    key: Path
    ca: str


def ensure_tls(folder: Path, names: Sequence[str]) -> Tls:
    """Give the certificate of a server, made and signed here unless it is there.

    Args:
        folder: Where authority, certificate and keys are kept; keys have mode 0600.
        names: Host names and IP addresses of the server.

    Returns:
        The certificate, its key and the authority.

    Raises:
        UsageError: They cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ca, ca_key = _authority(folder)
        certificate, key = folder / "server.crt", folder / "server.key"
        if not _good(certificate, key, names, ca):
            _make_server(certificate, key, names, ca, ca_key)
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror}; name one that can (--state), or give --cert and --key"
        raise UsageError(msg) from error
    return Tls(certificate, key, _pem(ca).decode("ascii"))


def given_tls(certificate: Path, key: Path, ca: Path | None) -> Tls:
    """Take the certificate of a site's own authority.

    Args:
        certificate: The server's certificate, and what leads to the authority.
        key: Its key.
        ca: The authority, for hosts that do not trust it yet.

    Raises:
        UsageError: A file cannot be read.
    """
    for path in (certificate, key, *([ca] if ca else [])):
        try:
            path.read_bytes()
        except OSError as error:
            msg = f"{path} cannot be read: {error.strerror}"
            raise UsageError(msg) from error
    return Tls(certificate, key, ca.read_text(encoding="ascii") if ca else "")


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    path, key_path = folder / "ca.crt", folder / "ca.key"
    if path.is_file() and key_path.is_file():
        ca = x509.load_pem_x509_certificate(path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        if isinstance(key, ec.EllipticCurvePrivateKey) and ca.not_valid_after_utc - _now() > _SERVER_LIFE:
            return ca, key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "llmops bundle")])
    builder = _builder(name, name, key.public_key(), _CA_LIFE).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    ca = builder.add_extension(_usage(signs=True), critical=True).sign(key, hashes.SHA256())
    _write_key(key_path, key)
    path.write_bytes(_pem(ca))
    return ca, key


def _make_server(
    path: Path, key_path: Path, names: Sequence[str], ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = _builder(subject, ca.subject, key.public_key(), _SERVER_LIFE)
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs=False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (issuer, False),
        (x509.SubjectAlternativeName([_alternative(name) for name in names]), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    _write_key(key_path, key)
    path.write_bytes(_pem(builder.sign(ca_key, hashes.SHA256())) + _pem(ca))


def _good(path: Path, key: Path, names: Sequence[str], ca: x509.Certificate) -> bool:
    """Tell whether a certificate of an earlier run is good for these names, by this authority, for some time."""
    if not (path.is_file() and key.is_file()):
        return False
    found = x509.load_pem_x509_certificate(path.read_bytes())
    told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    try:
        found.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return set(told) == {_alternative(name) for name in names} and found.not_valid_after_utc - _now() > _RENEW


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: datetime.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - _SLACK)
        .not_valid_after(_now() + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.unlink(missing_ok=True)
    # Nobody else may read it, not for a moment either.
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
