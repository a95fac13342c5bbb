# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates, judged by TLS itself."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._certificate import Pair, certificate_for

if TYPE_CHECKING:
    from pathlib import Path


def shake_hands(served: Pair, trusted: Pair, name: str, place: Path) -> None:
    """Let a client that asks for a name meet a server, in memory."""
    (place / "both.pem").write_text(served.certificate + served.key, encoding="ascii")
    here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.load_cert_chain(str(place / "both.pem"))
    there = ssl.create_default_context(cadata=trusted.certificate)
    # What Python 3.13 asks for by default.
    there.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = here.wrap_bio(up, down, server_side=True)
    client = there.wrap_bio(down, up, server_hostname=name)
    done: set[ssl.SSLObject] = set()
    for side in (client, server) * 5:
        try:
            side.do_handshake()
            done.add(side)
        except ssl.SSLWantReadError:
            continue
    assert done == {client, server}


@pytest.mark.parametrize("name", ["10.0.0.11", "fd00::11", "web1.example.org", "bücher.example.org"])
def test_it_is_good_for_its_names(name: str, tmp_path: Path) -> None:
    pair = certificate_for(["10.0.0.11", "fd00::11", "web1.example.org", "bücher.example.org"])
    shake_hands(pair, pair, name, tmp_path)


@pytest.mark.parametrize("name", ["10.0.0.12", "fd00::12", "example.org", "a.web1.example.org"])
def test_it_is_good_for_no_other_name(name: str, tmp_path: Path) -> None:
    pair = certificate_for(["10.0.0.11", "fd00::11", "web1.example.org"])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(pair, pair, name, tmp_path)


def test_another_one_is_not_trusted(tmp_path: Path) -> None:
    one, other = certificate_for(["10.0.0.11"]), certificate_for(["10.0.0.11"])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(one, other, "10.0.0.11", tmp_path)


def test_it_vouches_for_no_other_certificate() -> None:
    pair = certificate_for(["10.0.0.11"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pair.certificate)
    assert context.cert_store_stats()["x509_ca"] == 0
