# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Read files of OpenPGP public keys, as far as their fingerprints need it, so that a host needs no gpg for that.

Packets and armour: RFC 4880 sections 4.2 and 6.2; fingerprints: RFC 4880 section 12.2 (version 4) and RFC 9580
section 5.5.4.3 (version 6). Signatures are not looked at: whoever holds the right fingerprint holds the right key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

_PUBLIC_KEY = 6
_NEW_FORMAT = 0x40
_ARMOUR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t\r]*\n(?P<rest>.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL
)
_WIDTH = 64


class KeyFileError(ValueError):
    """A file is no file of public keys; the message says why."""


class PrimaryKey(t.NamedTuple):
    """A primary key with its subkeys, names and signatures."""

    fingerprint: str
    #: all its packets, as they were
    block: bytes


class _Packet(t.NamedTuple):
    tag: int
    body: bytes
    start: int
    end: int


def primary_keys(data: bytes) -> list[PrimaryKey]:
    """List the primary keys of a file.

    Args:
        data: The file, ASCII-armoured or binary.

    Returns:
        At least one key, in the order of the file; fingerprints in capitals.

    Raises:
        KeyFileError: It holds no key, or is damaged.
    """
    packets = _packets(_binary(data))
    starts = [packet for packet in packets if packet.tag == _PUBLIC_KEY]
    if not starts or packets[0].tag != _PUBLIC_KEY:
        raise KeyFileError("it holds no public key")
    binary = _binary(data)
    ends = [packet.start for packet in starts[1:]] + [packets[-1].end]
    return [PrimaryKey(_fingerprint(packet.body), binary[packet.start : end]) for packet, end in zip(starts, ends)]  # noqa: B905  Python 3.8 has no strict


def armoured(block: bytes) -> str:
    """Write packets in ASCII armour, with its checksum."""
    text = base64.b64encode(block).decode("ascii")
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    check = base64.b64encode(_crc24(block).to_bytes(3, "big")).decode("ascii")
    return "\n".join(
        ["-----BEGIN PGP PUBLIC KEY BLOCK-----", "", *lines, f"={check}", "-----END PGP PUBLIC KEY BLOCK-----", ""]
    )


def _binary(data: bytes) -> bytes:
    # The first bit of a packet is always set, that of a letter never.
    if data[:1] and data[0] & 0x80:
        return data
    blocks = list(_ARMOUR.finditer(data))
    if not blocks:
        raise KeyFileError("it has neither armour nor packets")
    return b"".join(_bare(block.group("rest")) for block in blocks)


def _bare(rest: bytes) -> bytes:
    # Headers end with an empty line; the last line with = is a checksum.
    lines = [line.strip() for line in rest.splitlines()]
    if b"" in lines:
        lines = lines[lines.index(b"") + 1 :]
    text = b"".join(line for line in lines if not line.startswith(b"="))
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise KeyFileError("its armour is damaged") from exc


def _packets(data: bytes) -> list[_Packet]:
    packets = []
    at = 0
    while at < len(data):
        head = data[at : at + 6]
        if not head[0] & 0x80:
            raise KeyFileError("its packets are damaged")
        tag, header, length = _new_header(head) if head[0] & _NEW_FORMAT else _old_header(head)
        end = at + header + length
        if end > len(data):
            raise KeyFileError("it is cut off")
        packets.append(_Packet(tag, data[at + header : end], at, end))
        at = end
    return packets


def _new_header(head: bytes) -> tuple[int, int, int]:
    tag = head[0] & 0x3F
    first = head[1] if len(head) > 1 else 255
    if first < 192:  # noqa: PLR2004  the classes of RFC 4880 section 4.2.2
        return tag, 2, first
    if first < 224:  # noqa: PLR2004  as above
        return tag, 3, ((first - 192) << 8) + (head[2] if len(head) > 2 else 0) + 192  # noqa: PLR2004  as above
    if first < 255:  # noqa: PLR2004  as above
        raise KeyFileError("its packets come in parts, which keys never do")
    return tag, 6, int.from_bytes(head[2:6], "big")


def _old_header(head: bytes) -> tuple[int, int, int]:
    size = 1 << (head[0] & 3)
    if size == 8:  # noqa: PLR2004  section 4.2.1: of indeterminate length
        raise KeyFileError("its packets have no length, which those of keys have")
    return (head[0] >> 2) & 0x0F, 1 + size, int.from_bytes(head[1 : 1 + size], "big")


def _fingerprint(body: bytes) -> str:
    version = body[0] if body else 0
    if version == 4:  # noqa: PLR2004  the version
        # Not for security: the format says so, and the fingerprint that is compared with is made the same way.
        return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324
    if version == 6:  # noqa: PLR2004  the version
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise KeyFileError(f"it holds a key of version {version}, which has no fingerprint that can be pinned")


def _crc24(data: bytes) -> int:
    value = 0xB704CE
    for byte in data:
        value ^= byte << 16
        for _bit in range(8):
            value <<= 1
            if value & 0x1000000:
                value ^= 0x1864CFB
    return value & 0xFFFFFF
