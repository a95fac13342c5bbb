# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy before the hub that does what networks, hubs and object stores do on bad days, when a test asks for it.

It has three fronts, each an origin of its own: `hub` and `cdn` lead to the hub's two names, `other` leads to the
objects as `cdn` does and is where redirects may point. Redirects and LFS answers that name the hub's own addresses are
rewritten to the fronts, so that every byte passes here and is counted.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.store.faults import ALWAYS, FRONTS, BrokenError, Exchange, Gate, Rule
from tests.store.front import listen

BODIES = ("cdn", "other")
_WAIT_S = 60.0


class Proxy:
    """The three fronts, their rules and the log of what happened."""

    def __init__(self, port: int, ca: Path, certificate: Path, key: Path) -> None:
        """Listen; `port` is that of the hub's nginx on 127.0.0.1."""
        self.port = port
        self.upstream = ssl.create_default_context(cafile=str(ca))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)
        self.lock = threading.Lock()
        self.rules: list[Rule] = []
        self.log: list[Exchange] = []
        self.gate_now: Gate | None = None
        self.signing: tuple[int, dict[str, int]] | None = None
        self._passed = dict.fromkeys(FRONTS, 0)
        self._servers = {front: listen(self, front) for front in FRONTS}

    def forget(self) -> None:
        """Take all rules away, let all that is held go, and begin a new log."""
        self.ungate()
        # What is still on its way belongs to the old log.
        deadline = time.monotonic() + _WAIT_S
        while self.open_now(*FRONTS) and time.monotonic() < deadline:
            time.sleep(0.005)
        with self.lock:
            self.rules = []
            self.log = []
            self.signing = None
            self._passed = dict.fromkeys(FRONTS, 0)

    def close(self) -> None:
        """Stop listening."""
        self.forget()
        for server in self._servers.values():
            server.shutdown()
            server.server_close()

    def url(self, front: str) -> str:
        """The address of a front."""
        return f"https://{FRONTS[front][0]}:{self._servers[front].server_address[1]}"

    # -- what tests ask for ----------------------------------------------------------------------------------------

    def add(self, rule: Rule) -> Rule:
        """Let something go wrong."""
        with self.lock:
            self.rules.append(rule)
        return rule

    def gate(self, front: str, limit: int) -> Gate:
        """Hold the front's bodies after `limit` bytes from now on."""
        with self.lock:
            self.gate_now = Gate(front, self._passed[front] + limit)
            return self.gate_now

    def ungate(self) -> None:
        """Take the gate away."""
        with self.lock:
            gate, self.gate_now = self.gate_now, None
        if gate is not None:
            gate.open()

    def sign(self, uses: int = ALWAYS) -> None:
        """Hand out signed addresses, each good for so many requests."""
        with self.lock:
            self.signing = (uses, {})

    def expire(self) -> None:
        """Make every signed address that was handed out worthless."""
        with self.lock:
            if self.signing is not None:
                self.signing[1].clear()

    # -- what tests look at ----------------------------------------------------------------------------------------

    def requests(self, match: str = "", *fronts: str) -> list[Exchange]:
        """The requests to some fronts (all when none is named) that a regular expression finds."""
        with self.lock:
            log = list(self.log)
        return [one for one in log if (not fronts or one.front in fronts) and re.search(match, str(one))]

    def await_refused(self, rule: Rule) -> None:
        """Wait until a rule with a status has met a request."""
        before = rule.times
        deadline = time.monotonic() + _WAIT_S
        while rule.times == before:
            assert time.monotonic() < deadline, f"no request came that {rule} meets"
            time.sleep(0.005)

    def open_now(self, *fronts: str) -> int:
        """How many bodies are on their way at this moment."""
        return sum(one.open for one in self.requests("", *fronts))

    def on_the_way(self) -> int:
        """Bytes that were sent and wait, in this machine, for their client to read them."""
        ports = {f"{server.server_address[1]:04X}" for server in self._servers.values()}
        total = 0
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            _number, here, there, _state, queues = line.split()[:5]
            if there.partition(":")[2] in ports:
                total += int(queues.partition(":")[2], 16)
            elif here.partition(":")[2] in ports:
                total += int(queues.partition(":")[0], 16)
        return total

    def sent(self, match: str = "") -> int:
        """Bytes of objects that went to clients."""
        return sum(one.sent for one in self.requests(match, *BODIES))

    # -- for the handlers ------------------------------------------------------------------------------------------

    def rule_for(self, exchange: Exchange) -> Rule | None:
        """The first rule that meets a request; it is used up by that."""
        with self.lock:
            self.log.append(exchange)
            for rule in self.rules:
                if rule.front != exchange.front or rule.times <= 0 or not re.search(rule.match, str(exchange)):
                    continue
                if rule.after > 0:
                    rule.after -= 1
                    continue
                rule.times -= 1
                return rule
        return None

    def may_pass(self, front: str, wanted: int) -> int:
        """How many of the next bytes may go; waits where a gate holds them.

        Raises:
            BrokenError: The gate was cut.
        """
        while True:
            with self.lock:
                gate = self.gate_now
                if gate is None or gate.front != front or (gate.decided.is_set() and not gate.broken):
                    self._passed[front] += wanted
                    return wanted
                left = gate.limit - self._passed[front]
                if left > 0:
                    self._passed[front] += min(left, wanted)
                    return min(left, wanted)
            gate.held.set()
            gate.decided.wait(_WAIT_S)
            if gate.broken:
                raise BrokenError

    def is_down(self, front: str) -> bool:
        """Whether connections to a front break at once."""
        gate = self.gate_now
        return gate is not None and gate.front == front and gate.broken

    def signed(self, location: str) -> str:
        """An address of the hub's own as clients shall see it."""
        for front in ("cdn", "hub"):
            location = location.replace(f"https://{FRONTS[front][1]}/", self.url(front) + "/")
        with self.lock:
            if self.signing is None or not location.startswith(self.url("cdn")):
                return location
            uses, known = self.signing
            number = f"{len(self.log)}-{len(known)}-{time.monotonic_ns()}"
            known[number] = uses
        return f"{location}?sig={number}"

    def is_expired(self, exchange: Exchange) -> bool:
        """Whether a request for an object comes with a signature that is not, or no more, good."""
        number = urlsplit(exchange.path).query.partition("sig=")[2]
        with self.lock:
            if self.signing is None or exchange.front != "cdn":
                return False
            known = self.signing[1]
            known[number] = known.get(number, 0) - 1
            return known[number] < 0
