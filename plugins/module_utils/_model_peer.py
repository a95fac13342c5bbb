# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of the same play that have models already: what they offer, and how to get it from them.

What a peer's files must be is in the manifest of its store, which came by way of the controller, and in the inventory
where that gives a sha256. Each file is checked against it as if it came from the hub, so bytes that have changed since,
on the peer's disk or on the way, are found. A peer is known by its certificate alone, which was made for this run, and
it alone sees its token.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ansible_collections.llmops.serving.plugins.module_utils._model_connections import Connections
from ansible_collections.llmops.serving.plugins.module_utils._model_download import Download
from ansible_collections.llmops.serving.plugins.module_utils._model_http import (
    Auth,
    HttpClient,
    HttpError,
    Retry,
    origin,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest, StoredFile
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec
from ansible_collections.llmops.serving.plugins.module_utils._model_store import stored_name

if TYPE_CHECKING:
    import http.client
    from collections.abc import Mapping, Sequence

VARIABLE = "models_share"
#: The words of a peer, for the argument specification of a module. Only the token is secret: were the whole list, then
#: every file's name in a result would be taken for a secret and be blotted out.
PEER_OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "urls": {"type": "list", "elements": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
    "certificate": {"type": "str", "required": True},
    "manifests": {"type": "dict", "required": True},
}
# A peer is near or it is none: a firewall that swallows packets must not cost more than this.
_REACH_S = 4.0
_SILENCE_S = 15.0
# Less patience than with a hub, for there is the hub.
PEER_RETRY = Retry(attempts=2, base=0.2, cap=5.0)
_ONCE = Retry(attempts=1)
# A peer that hears nothing for some minutes ends, so that none is left when everybody has gone.
_GREET_EVERY_S = 20.0


class Peer:
    """One host that offers models."""

    def __init__(
        self, name: str, urls: Sequence[str], token: str, certificate: str, manifests: Mapping[str, Any]
    ) -> None:
        """Name the peer; it is asked for the first time when something of it is wanted.

        Args:
            name: Its name in the inventory.
            urls: Addresses at which it may be reached, the likeliest first.
            token: The secret that it wants to hear.
            certificate: Its certificate, PEM: the only one that is trusted.
            manifests: Its manifests by model, as `dataclasses.asdict` gives them.
        """
        self.name = name
        self.urls = tuple(urls)
        self.client = _Client(certificate, _SILENCE_S, PEER_RETRY)
        self._token = token
        self._prober = _Client(certificate, _REACH_S, _ONCE)
        self._manifests = {model: Manifest.from_dict(dict(words)) for model, words in manifests.items()}
        self._circle: Sequence[Peer] = (self,)
        self._reached: threading.Thread | None = None
        self._url = ""
        #: Why it gave nothing, empty as long as it gives what it is asked for.
        self.problem = ""
        #: Whether it was there and is no more, so that asking again costs only time.
        self.gone = False

    def manifest(self, spec: ModelSpec) -> Manifest | None:
        """Tell what this peer offers for a wanted model; None when that is nothing, or when it does not answer."""
        found = self._manifests.get(spec.name)
        if found is None or found.key != spec.key or not found.serves(spec):
            return None
        if (found.include, found.exclude) != (spec.include, spec.exclude):
            # Another choice of the same revision's files.
            return None
        digests = {entry.path: entry.sha256 for entry in found.files}
        wanted = [stored_name(spec, path) for path in spec.files]
        if any(path not in digests or spec.sha256 not in ("", digests[path]) for path in wanted):
            return None
        return found if self.reached() else None

    def download(self, manifest: Manifest, entry: StoredFile) -> Download:
        """Describe how to get a file from this peer.

        Args:
            manifest: What `manifest` gave.
            entry: One of its files.
        """
        url = f"{self._url}/{entry.sha256}"
        return Download(
            label=entry.path,
            variable=f"serving_models['{manifest.name}']",
            link=lambda: (url, {}),
            # Its name is its content, whoever sends it: a part that came from the hub goes on here, and the other way.
            handed_out=True,
            auth=self._auth(self._url),
            size=entry.size,
            sha256=entry.sha256,
        )

    def reached(self) -> bool:
        """Whether it answers at one of its addresses. All peers are asked together, the first time that one is."""
        for peer in self._circle:
            peer.begin()
        if self._reached is not None:
            self._reached.join()
        return bool(self._url)

    def lost(self, error: Exception) -> None:
        """Note that a file could not be had from it.

        Args:
            error: What `Transfer` raised: the connection's end, or that a file is not what it should be.
        """
        self.problem = f"{self.name}: {error}"
        self.gone = self.gone or isinstance(error, HttpError)

    def begin(self) -> None:
        """Begin to look for it, once."""
        if self._reached is None:
            self._reached = threading.Thread(target=self._reach, daemon=True)
            self._reached.start()

    def _reach(self) -> None:
        found: dict[str, str] = {}
        threads = [threading.Thread(target=self._knock, args=(url, found), daemon=True) for url in self.urls]
        for thread in threads:
            thread.start()
        for url, thread in zip(self.urls, threads):  # noqa: B905 - as long as each other
            # Nobody waits for a way that is not needed, say for a name that no server knows.
            thread.join()
            if found[url] == "":
                self._url = url
                break
        if self._url:
            threading.Thread(target=self._greet, daemon=True).start()
        else:
            self.problem = "; ".join(f"{self.name} at {_place(url)}: {found[url]}" for url in self.urls)

    def _knock(self, url: str, found: dict[str, str]) -> None:
        try:
            self._prober.open(url + "/", self._auth(url)).close()
            found[url] = ""
        except HttpError as error:
            found[url] = error.detail
        except ModelError as error:
            found[url] = str(error)

    def _greet(self) -> None:
        """Keep the peer waiting as long as this process lives: it may be wanted after an hour with another source."""
        silence = threading.Event()
        while not silence.wait(_GREET_EVERY_S):
            self._knock(self._url, {})

    def _auth(self, url: str) -> Auth:
        return Auth(origin(url), f"Bearer {self._token}")

    @staticmethod
    def together(peers: Sequence[Peer]) -> None:
        """Make peers known to each other, so that they are looked for at the same time."""
        for peer in peers:
            peer._circle = peers


class _Direct(Connections):
    """Connections straight to a host of the site: what the environment says of proxies is about the internet."""

    def _dial(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        return self._connection(parts.hostname or "", parts.port, secure=True)


class _Client(HttpClient):
    """Asks peers, without a proxy."""

    def __init__(self, certificate: str, timeout: float, retry: Retry) -> None:
        super().__init__(timeout=timeout, retry=retry)
        self._connections = _Direct(None, timeout, certificate)


def parse_peers(peers: Sequence[Mapping[str, Any]]) -> tuple[Peer, ...]:
    """Read the parameter `peers`.

    Args:
        peers: Dicts as in `PEER_OPTIONS`.

    Returns:
        The peers. Nobody was asked yet.

    Raises:
        ModelError: An entry has no address of a peer.
    """
    if not peers:
        return ()
    found = []
    for number, words in enumerate(peers):
        for url in words["urls"]:
            parts = urlsplit(url)
            if parts.scheme != "https" or not parts.hostname:
                raise ModelError(f"peers[{number}].urls", f"'{url}' is no https address; take it from model_share")
        found.append(Peer(words["name"], words["urls"], words["token"], words["certificate"], words["manifests"]))
    Peer.together(found)
    return tuple(found)


def peer_warnings(peers: Sequence[Peer]) -> list[str]:
    """Tell which peers were no help, in one line; none when all were, or none was needed."""
    problems = [peer.problem for peer in peers if peer.problem]
    if not problems:
        return []
    asked = f"{len(problems)} of {len(peers)} hosts that have models did not give them ({'; '.join(problems)})"
    remedy = (
        "where hosts cannot reach each other, let them at models_share_port, name the address by which they can in "
        "models_share_address, or set models_share: false"
    )
    return [f"{VARIABLE}: {asked}, so they came from the hub; {remedy}"]


def _place(url: str) -> str:
    return urlsplit(url).netloc
