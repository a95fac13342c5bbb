# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certification authority for the lab, the certificates of its services, keys and tokens.

All of it is made on this machine at the first start and lies in the lab's directory with mode 0600.
"""

from __future__ import annotations

import ipaddress
import secrets
import subprocess
from typing import TYPE_CHECKING

from llmops_serving.lab.errors import LabError
from llmops_serving.lab.machine import require_commands

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from llmops_serving.lab.state import Paths

CA_DAYS = 3650
#: The longest that clients accept for a server.
SERVER_DAYS = 825
#: A certificate with fewer seconds left is made anew.
RENEW_S = 7 * 86400


def ensure_secrets(paths: Paths) -> None:
    """Make the authority, the ssh key, the API key and the hub's token unless they exist."""
    require_commands({"openssl": "openssl", "ssh-keygen": "openssh-client"})
    if not _valid(paths.ca_cert):
        _make_ca(paths)
    if not paths.ssh_key.exists():
        _call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "llmops-lab", "-f", str(paths.ssh_key)])
    for secret in (paths.api_key, paths.hub_token):
        if not secret.exists():
            secret.touch(mode=0o600)
            prefix = "hf_" if secret == paths.hub_token else "lab-"
            secret.write_text(prefix + secrets.token_hex(20) + "\n", encoding="ascii")


def ensure_certificate(paths: Paths, name: str, hosts: Sequence[str]) -> tuple[Path, Path]:
    """Give certificate and key of a service, signed by the lab's authority.

    Args:
        paths: the lab.
        name: base name of the two files.
        hosts: DNS names and IP addresses the certificate is for.
    """
    certificate, key = paths.pki / f"{name}.crt", paths.pki / f"{name}.key"
    if _valid(certificate) and key.exists():
        return certificate, key
    request, extensions = paths.pki / f"{name}.csr", paths.pki / f"{name}.ext"
    alternatives = ",".join(f"{_kind(host)}:{host}" for host in hosts)
    extensions.write_text(
        f"subjectAltName={alternatives}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n", encoding="ascii"
    )
    subject = ["-subj", f"/CN={hosts[0]}"]
    _call(["openssl", "req", "-new", *_key_options(key), *subject, "-out", str(request)])
    signing = ["-CA", str(paths.ca_cert), "-CAkey", str(paths.pki / "ca.key"), "-CAcreateserial"]
    validity = ["-days", str(SERVER_DAYS), "-sha256", "-extfile", str(extensions)]
    _call(["openssl", "x509", "-req", "-in", str(request), *signing, *validity, "-out", str(certificate)])
    key.chmod(0o600)
    return certificate, key


def _kind(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "DNS"
    return "IP"


def _make_ca(paths: Paths) -> None:
    for stale in paths.pki.glob("*"):
        stale.unlink()
    key = paths.pki / "ca.key"
    # OpenSSL's default configuration file already makes it an authority; saying so again would be an error in some.
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    subject = ["-subj", "/CN=llmops lab CA"]
    out = ["-days", str(CA_DAYS), "-sha256", "-out", str(paths.ca_cert)]
    _call(["openssl", "req", "-x509", "-new", *_key_options(key), *subject, *usage, *out])
    key.chmod(0o600)


def _key_options(key: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key)]


def _valid(certificate: Path) -> bool:
    if not certificate.exists():
        return False
    command = ["openssl", "x509", "-in", str(certificate), "-noout", "-checkend", str(RENEW_S)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603  # fixed command


def _call(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # fixed commands of this module
    if done.returncode != 0:
        raise LabError(f"`{command[0]} {command[1]}` failed: {done.stderr.strip() or done.stdout.strip()}")
