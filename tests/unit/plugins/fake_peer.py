# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that offers models: the real server, in this process, on the loopback address."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils import _model_share
from ansible_collections.llmops.serving.plugins.module_utils._model_share import Offer, Share, offered
from ansible_collections.llmops.serving.plugins.plugin_utils._certificate import certificate_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pytest

    from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store

TOKEN = "hunter2-of-this-run"  # noqa: S105 - a canary, not a secret
LOOPBACK = "127.0.0.1"


class FakePeer:
    """A running offer."""

    def __init__(self, files: Mapping[str, Path], clients: Sequence[str] = (), idle: float = 3600) -> None:
        """Listen and serve; without further words for everybody who knows the token."""
        self.pair = certificate_for([LOOPBACK])
        self.offer = Offer(files, TOKEN, clients)
        self.share = Share(self.offer, *self.pair)
        with loopback_counts():
            self.port = self.share.listen([LOOPBACK])
        self.url = f"https://{LOOPBACK}:{self.port}"
        self._thread = threading.Thread(target=self.share.serve, args=(idle,), daemon=True)
        self._thread.start()

    def words(self, manifests: Mapping[str, Any], name: str = "near") -> dict[str, Any]:
        """Give the peer as the module `model` is told of it."""
        return {
            "name": name,
            "urls": [self.url],
            "token": TOKEN,
            "certificate": self.pair.certificate,
            "manifests": dict(manifests),
        }

    def ended(self, seconds: float = 10) -> bool:
        """Wait for its own end."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Be gone, as a host is whose network is cut."""
        self.share.stop()
        self._thread.join()


@contextlib.contextmanager
def fake_peer(files: Mapping[str, Path], clients: Sequence[str] = (), idle: float = 3600) -> Iterator[FakePeer]:
    """Run an offer."""
    peer = FakePeer(files, clients, idle)
    try:
        yield peer
    finally:
        peer.close()


@contextlib.contextmanager
def peer_of(store: Store, *names: str) -> Iterator[tuple[FakePeer, dict[str, Any]]]:
    """Offer models of a store, and give the peer with its words."""
    manifests, files = offered(store, {name: store.versions(name)[0].key for name in names})
    with fake_peer(files) as peer:
        yield peer, peer.words({name: asdict(manifest) for name, manifest in manifests.items()})


@contextlib.contextmanager
def loopback_counts() -> Iterator[None]:
    """Let the server listen at the loopback address, which is none for others."""
    found = _model_share._resolve
    _model_share._resolve = lambda name: [(int(socket.AF_INET), name)]
    try:
        yield
    finally:
        _model_share._resolve = found


def cut_after(count: int, patch: pytest.MonkeyPatch, peers: Sequence[FakePeer]) -> None:
    """Let peers be gone, connections and all, when some bytes were sent."""
    left = [count]
    send = _model_share._Handler._send

    def limited(handler: Any, file: Any, size: int) -> None:
        left[0] -= size
        if left[0] < 0:
            send(handler, file, size // 2)
            for peer in peers:
                peer.close()
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        send(handler, file, size)

    patch.setattr(_model_share._Handler, "_send", limited)
