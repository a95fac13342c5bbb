# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests ask the proxy for, and what it notes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ALWAYS = 10**9
#: front -> (name that clients use, name that the hub's nginx knows it by)
FRONTS = {"hub": ("localhost", "hub.lab"), "cdn": ("127.0.0.1", "cdn.lab"), "other": ("127.0.0.1", "cdn.lab")}


@dataclass
class Rule:
    """What goes wrong with the requests that it meets.

    Attributes:
        front: Where they arrive.
        match: Regular expression, searched in `METHOD path?query`.
        times: How many of them it meets.
        after: How many pass before it begins.
        status: Answer with this, and ask nobody.
        headers: Set on the answer; None takes one away. A function is called for each answer.
        body: Of an answer with `status`.
        redirect: Send the request to this front.
        drop: Break the connection without an answer.
        ranges: False: ranges are neither understood nor offered.
        if_range: False: ranges come whatever the content has become since, as from many a CDN.
        claim: Added to Content-Length.
        cut: Bytes of a body after which its connection breaks.
        stall: Seconds without a byte after `cut` bytes, in the place of the break.
        trickle: Seconds before each further byte after `cut` bytes, in the place of the break.
        flip: Position in the file of a byte that changes on its way; happens once.
    """

    front: str
    match: str = ""
    times: int = ALWAYS
    after: int = 0
    status: int = 0
    headers: Mapping[str, str | Callable[[], str] | None] = field(default_factory=dict)
    body: bytes = b""
    redirect: str = ""
    drop: bool = False
    ranges: bool = True
    if_range: bool = True
    claim: int = 0
    cut: int | None = None
    stall: float = 0.0
    trickle: float = 0.0
    flip: int | None = None


@dataclass
class Exchange:
    """One request and what became of it; times are of the monotonic clock."""

    front: str
    method: str
    path: str
    headers: Mapping[str, str]
    begun: float
    #: status of the answer, 0 when none was given
    status: int = 0
    #: bytes of the body that were sent to the client
    sent: int = 0
    #: when its headers were sent
    answered: float = 0.0
    #: whether its body is on its way
    open: bool = False

    @property
    def range(self) -> str:
        """The wanted range, "" for all."""
        return self.headers.get("range", "")

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Gate:
    """Lets a number of bytes through to the bodies of a front, then holds all until it is told what to do."""

    def __init__(self, front: str, limit: int) -> None:
        self.front = front
        self.limit = limit
        self.held = threading.Event()
        self.decided = threading.Event()
        self.broken = False

    def open(self) -> None:
        """Let all go on."""
        self.decided.set()

    def cut(self) -> None:
        """Break every connection of the front, and all that come until the gate is taken away."""
        self.broken = True
        self.decided.set()


class BrokenError(Exception):
    """The connection shall break here."""
