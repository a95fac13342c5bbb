# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Chromium, of this machine or from an image of the lab, steered over its DevTools protocol."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from llmops_serving.lab import daemon, images, services
from llmops_serving.lab.build import LABEL, MACHINE_ROOT, Builder, Recipe
from llmops_serving.lab.machine import Machine
from llmops_serving.lab.progress import Reporter, silent
from llmops_serving.lab.state import Paths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

NAMES = ("chromium", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
IMAGE = Recipe(
    name="chromium",
    # Not one of the lab's own assets: a path from the root stays what it is.
    script=str(Path(__file__).with_name("install-chromium.sh")),
    base=images.base("bookworm"),
    about="Chromium from Debian (about 60 s)",
    size_mib=700,
)
START_TIMEOUT_S = 60
ANSWER_TIMEOUT_S = 30


@contextlib.contextmanager
def chromium(profile: Path, pages: Path, *, container: bool = False) -> Iterator[str]:
    """Run a Chromium.

    Args:
        profile: An empty directory for its state.
        pages: The directory that it may read pages from, by the same path wherever it runs.
        container: Take the one of the lab's image even if this machine has one.

    Yields:
        The URL of its DevTools socket.
    """
    found = None if container else next((path for name in NAMES if (path := shutil.which(name))), None)
    words = [*FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with contextlib.ExitStack() as stack:
        if found:
            process = subprocess.Popen([found, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
            stack.callback(process.wait)
            stack.callback(process.terminate)
        else:
            stack.callback(_container(profile, pages, words))
        yield _socket(profile / "DevToolsActivePort")


def _container(profile: Path, pages: Path, words: Sequence[str]) -> Any:
    paths, reporter = Paths(), Reporter(silent)
    paths.make()
    client, _started = daemon.ensure(paths, reporter)
    machine = Machine.probe(MACHINE_ROOT)
    services.ensure_network(client, machine.mtu)
    builder = Builder(client, machine, paths, reporter, services.NETWORK)
    builder.ensure(images.base("bookworm"))
    builder.ensure(IMAGE)
    # Its socket listens on loopback only, so it shares this machine's network.
    running = client.containers.run(
        IMAGE.tag,
        ["chromium", *words],
        detach=True,
        init=True,
        network_mode="host",
        labels={LABEL: "test"},
        volumes={str(profile): {"bind": str(profile), "mode": "rw"}, str(pages): {"bind": str(pages), "mode": "ro"}},
    )
    return lambda: running.remove(force=True, v=True)


def _socket(told: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            port, path = told.read_text(encoding="ascii").splitlines()[:2]
            return f"ws://127.0.0.1:{port}{path}"
        time.sleep(0.1)
    raise TimeoutError(f"Chromium did not start: {told} was not written")


class Tab:
    """One page, and what it did: `requests` (URLs) and `complaints` (errors and warnings of its console)."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Speak over an open socket."""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._loaded: set[str] = set()

    async def open(self, url: str, size: tuple[int, int], scheme: str) -> None:
        """Open a page in a window of a size, by a colour scheme ("light" or "dark")."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        width, height = size
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=width < 600
        )
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await self.call("Page.setLifecycleEventsEnabled", enabled=True)
        loader = (await self.call("Page.navigate", url=url))["loaderId"]
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while loader not in self._loaded:
                await self._receive()

    async def evaluate(self, script: str) -> Any:
        """Give the value of an expression in the page."""
        result = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            body = await self.call("Runtime.evaluate", expression="document.body?.innerText", returnByValue=True)
            raise AssertionError(f"{result['exceptionDetails']}: {body}")
        return result["result"].get("value")

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session and not method.startswith("Target."):
            message["sessionId"] = self._session
        await self._socket.send_json(message)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while True:
                answer = await self._receive()
                if answer.get("id") == number:
                    if "error" in answer:
                        raise AssertionError(f"{method}: {answer['error']}")
                    return dict(answer["result"])

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._socket.receive_json()
        parameters = message.get("params") or {}
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(str(parameters["entry"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.complaints.append(str(parameters["args"]))
            case "Page.lifecycleEvent" if parameters["name"] == "load":
                self._loaded.add(parameters["loaderId"])
        return message


@contextlib.asynccontextmanager
async def tab(socket_url: str) -> AsyncIterator[Tab]:
    """Make a tab."""
    async with aiohttp.ClientSession() as session, session.ws_connect(socket_url, max_msg_size=0) as socket:
        yield Tab(socket)
