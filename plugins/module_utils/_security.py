# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Ask every route of a server as a stranger would, and tell which ones answer that should not."""

from __future__ import annotations

import re
import secrets
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint, HttpError, request_status

#: What a route may be for. The first two are worth a stranger's while: computing, and changing the server.
KINDS: t.Final = ("inference", "admin", "info", "health", "metrics")
GRAVE: t.Final = ("inference", "admin")

_REFUSED = (401, 403)
_NO_ROUTE, _NO_METHOD = 404, 405
# Of a route that changes something only its presence is asked, by a method that none of them has.
_HARMLESS = "PATCH"
_TIMEOUT_S = 25.0
# How a request is met.
_REFUSES, _ANSWERS, _ABSENT = "refuses", "answers", "is absent"
_PARAMETER = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True)
class Route:
    """One route of an engine.

    Attributes:
        path: From the root of the server; `{…}` stands for a part that may be anything.
        method: Of HTTP.
        kind: One of `KINDS`.
        open: Whether the engine answers it without its key.
    """

    path: str
    method: str
    kind: str
    open: bool

    def asked(self) -> str:
        """The path to ask for."""
        return _PARAMETER.sub("x", self.path)


@dataclass(frozen=True)
class Finding:
    """A route that answers a stranger, or a server that could not be asked.

    Attributes:
        path: The route.
        method: As it is documented.
        kind: What the route is for; empty where the finding is of the server as a whole.
        sent: What the stranger sent: `no key`, `a wrong key`, or `the key in other capitals`.
        status: The HTTP status; None if no answer came.
        seen: What happened, one line without any key.
    """

    path: str
    method: str
    kind: str
    sent: str
    status: int | None
    seen: str


@dataclass(frozen=True)
class Report:
    """What a stranger found.

    Attributes:
        findings: What should not be, in the order of the routes.
        refused: Routes that refuse whoever has not the key.
        answering: Routes that answer without it, those of `findings` too.
        absent: Routes that this server has not.
    """

    findings: tuple[Finding, ...]
    refused: tuple[str, ...]
    answering: tuple[str, ...]
    absent: tuple[str, ...]


def parse_routes(routes: t.Sequence[t.Mapping[str, t.Any]]) -> list[Route]:
    """Read routes as a plan or a task gives them.

    Args:
        routes: Of each `path`, `method`, `kind`, and `open` unless it is false.

    Returns:
        The routes.
    """
    return [Route(one["path"], one["method"], one["kind"], bool(one.get("open"))) for one in routes]


def accepted(path: str, accept: t.Sequence[str]) -> bool:
    """Tell whether a path is one of those accepted as open, or lies below one of them."""
    return any(path == one or path.startswith(one.rstrip("/") + "/") for one in accept if one.strip("/"))


def must_be_closed(route: Route, keyed: bool, accept: t.Sequence[str]) -> bool:
    """Tell whether a stranger may get no answer from a route.

    Args:
        route: The route.
        keyed: Whether the server has a key.
        accept: Paths that may be open, with what lies below them.

    Returns:
        With a key all but what the engine leaves open and what is neither inference nor administration; without one
        inference and administration alone, since nothing could guard the rest.
    """
    if accepted(route.path, accept):
        return False
    return route.kind in GRAVE or (keyed and not route.open)


def probe(
    url: str,
    key: str | None,
    routes: t.Sequence[t.Mapping[str, t.Any]],
    accept: t.Sequence[str] = (),
) -> list[Finding]:
    """Ask every route of a server without a key and with wrong ones.

    Args:
        url: Address of the server without a path.
        key: Its key, of which wrong ones are made; None for a server without one.
        routes: As for `parse_routes`.
        accept: Paths that may answer, with what lies below them.

    Returns:
        What should not be; nothing if the server is closed. `remedy` says what to do about it.
    """
    return list(look(Endpoint(url, api_key=key, timeout=_TIMEOUT_S), routes, accept).findings)


def look(endpoint: Endpoint, routes: t.Sequence[t.Mapping[str, t.Any]], accept: t.Sequence[str] = ()) -> Report:
    """Ask as `probe` does, and tell of every route how it was.

    Args:
        endpoint: Where the server is, its key, the time for one request, and whom to trust.
        routes: As for `parse_routes`.
        accept: Paths that may answer, with what lies below them.

    Returns:
        The report. Whatever the server does ends in it, never in an exception.
    """
    key = endpoint.api_key
    stranger = replace(endpoint, api_key=None)
    wrong_keys = _wrong(key)
    found: list[Finding] = []
    ways: dict[str, list[str]] = {_REFUSES: [], _ANSWERS: [], _ABSENT: []}
    for route in parse_routes(routes):
        seen = _ask(stranger, route, "no key")
        if not seen.finding.kind:
            found.append(seen.finding)
            break
        ways[seen.way].append(f"{route.method} {route.path}")
        if seen.way == _ANSWERS and must_be_closed(route, key is not None, accept):
            found.append(seen.finding)
        elif seen.way == _REFUSES:
            tries = [_ask(replace(endpoint, api_key=wrong), route, sent) for sent, wrong in wrong_keys]
            found += [one.finding for one in tries if one.way == _ANSWERS]
    if not found and not ways[_REFUSES] and (key is not None or not ways[_ANSWERS]):
        found.append(Finding("", "", "", "no key", None, "no route of the engine is there to refuse anybody"))
    return Report(tuple(found), *(tuple(names) for names in ways.values()))


def remedy(findings: t.Sequence[Finding], keyed: bool) -> str:
    """Say what to do about findings.

    Args:
        findings: At least one.
        keyed: Whether the server has a key.

    Returns:
        One line, with the variables to change.
    """
    if any(not finding.kind for finding in findings):
        return "check the address and the port, and whether the engine is the one that is named"
    if any(finding.sent != "no key" for finding in findings):
        return "this image does not check its key: set image of the server to another, or bind to 127.0.0.1"
    paths = ", ".join(dict.fromkeys(finding.path for finding in findings))
    if not keyed:
        return f"set api_key of the server, or bind to 127.0.0.1, or set accept_open_routes to [{paths}]"
    return (
        "check that options and environment of the server do not open them, or bind to 127.0.0.1, or set "
        f"accept_open_routes to [{paths}]"
    )


def summary(findings: t.Sequence[Finding], most: int = 4) -> str:
    """Say in one line what was found, the first few by name."""
    more = len(findings) - most
    return ", ".join(finding.seen for finding in findings[:most]) + (f", and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class _Seen:
    """What one request met: the way in which it was met, and the words for it if it should not be so."""

    way: str
    finding: Finding


def _ask(endpoint: Endpoint, route: Route, sent: str) -> _Seen:
    method = _HARMLESS if route.kind == "admin" else route.method
    payload: dict[str, t.Any] | None = {} if method in ("POST", "PUT") else None
    name = f"{route.method} {route.path}"
    finding = Finding(route.path, route.method, route.kind, sent, None, "")
    try:
        status = request_status(endpoint, method, endpoint.url(route.asked()), payload)
    except HttpError as error:
        # A route that keeps a stranger waiting may well be computing for him; otherwise no server is there to be asked.
        kind = route.kind if error.kind == "timeout" else ""
        return _Seen(_ANSWERS, replace(finding, kind=kind, seen=f"{name} with {sent}: {error.seen}"))
    finding = replace(finding, status=status, seen=f"{name} answers {status} with {sent}")
    if status in _REFUSED:
        return _Seen(_REFUSES, finding)
    # Where a route is asked by a method that it lacks, that answer says that it is there and nothing guards it.
    gone = status == _NO_ROUTE or (status == _NO_METHOD and method == route.method)
    return _Seen(_ABSENT if gone else _ANSWERS, finding)


def _wrong(key: str | None) -> list[tuple[str, str]]:
    """Keys that are not the server's, and what to call them."""
    if key is None:
        return []
    # There are engines that compare without regard to capitals.
    other = key.swapcase()
    wrong = [("a wrong key", f"wrong-{secrets.token_hex(8)}")]
    return [*wrong, ("the key in other capitals", other)] if other != key else wrong
