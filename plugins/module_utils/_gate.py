# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Wait for a server and judge it by real requests."""

from __future__ import annotations

import re
import time
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils import _security
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._http import NOT_READY, Endpoint, get_status
from ansible_collections.llmops.serving.plugins.module_utils._probes import run_probe

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

_OK = 200
_REFUSED = (401, 403)
_GIB = 1 << 30
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  the address to ask, not to bind
# An answer of the server's that it failed inside, or none at all.
_BROKE = re.compile(r"HTTP 5\d\d|\b50[0234]\b|reset|refused|closed|timed? ?out|no answer")
# Further starts by systemd that a server which is as asked may need, say after a reboot, before it counts as dead.
_PATIENCE = 2


class GateError(Exception):
    """A server did not become ready, or did not answer sensibly.

    Attributes:
        check: The step or probe that failed.
        cause: What was seen.
        remedy: What to do.
        died: Whether the engine ended, so that its log tells more.
        broke: Whether it lives and failed at an answer, so that its log may tell more.
        probes: The results so far.
    """

    def __init__(  # noqa: PLR0913, PLR0917  the parts of one message
        self,
        check: str,
        cause: str,
        remedy: str,
        died: bool = False,
        probes: t.Sequence[t.Any] = (),
        broke: bool = False,
    ) -> None:
        """Say what failed, why, and what to do."""
        super().__init__(f"{check}: {cause}; {remedy}")
        self.check = check
        self.cause = cause
        self.remedy = remedy
        self.died = died
        self.broke = broke
        self.probes = list(probes)


def server_url(bind: str, port: int) -> str:
    """Give the address under which a server is asked on its own host, without a path."""
    host = _ANY.get(bind, bind)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Gate:
    """The wait and the probes that a server must pass."""

    def __init__(self, asked: dict[str, t.Any], key: str | None, unit: Unit, restarts: int) -> None:
        """Take what was asked for, the key to send, the unit to watch, and how often systemd had restarted it."""
        self.asked = asked
        self.key = key
        self.unit = unit
        self.restarts = restarts
        self.url = server_url(asked["bind"], asked["port"])

    def wait(self) -> None:
        """Wait until the server says that it is ready, watching the container as well as the port.

        Raises:
            GateError: The container ended, or the time that its models' size allows is over.
        """
        limit = deadline(self.asked["load"], [model["path"] for model in self.asked["models"]])
        began, pause = time.monotonic(), 0.1
        while True:
            self._demand_life()
            status = get_status(self.url + self.asked["readiness"], timeout=25, api_key=self.key)
            if status == _OK:
                return
            if status != NOT_READY and not isinstance(status, int):
                raise GateError(
                    "wait", "{}{}: {}".format(self.url, self.asked["readiness"], status), "check bind and port"
                )
            if time.monotonic() - began > limit:
                raise GateError(
                    "wait",
                    f"not ready after {limit:.0f} s",
                    "set load_timeout of the server higher, if its log shows that it still loads",
                )
            time.sleep(pause)
            # Nobody is served meanwhile, so the end of the loading is not to be missed by much.
            pause = min(pause * 1.5, 0.5)

    def run(self) -> list[dict[str, t.Any]]:
        """Ask every model of the server for what it is for.

        Returns:
            One result of `run_probe` for each, all good.

        Raises:
            GateError: One is not good; the first such is named, all that ran are in `probes`.
        """
        probes = []
        for entry in self.asked["gate"]:
            options = {name: value for name, value in entry.items() if name != "task"}
            timeout = options.pop("timeout", 120)
            endpoint = Endpoint(self.url + "/v1", api_key=self.key, timeout=timeout)
            probes.append(run_probe(entry["task"], endpoint, options))
        for probe in probes:
            if not probe["ok"]:
                self._demand_life(probes)
                cause, _separator, remedy = probe["msg"].rpartition("; ")
                raise GateError(
                    "{} probe of {}".format(probe["probe"], probe["model"]),
                    cause or probe["msg"],
                    remedy,
                    probes=probes,
                    broke=_BROKE.search(probe["msg"]) is not None,
                )
        if self.key is not None:
            self._demand_key(probes)
        if self.asked.get("exposed"):
            self._demand_closed(probes)
        return probes

    def _demand_key(self, probes: list[dict[str, t.Any]]) -> None:
        path = self.asked["guarded"]
        status = get_status(self.url + path, timeout=25)
        if status not in _REFUSED:
            raise GateError(
                "key",
                f"{path} answers {status} without a key",
                "the engine did not take its key: check that options and environment do not unset it",
                probes=probes,
            )

    def _demand_closed(self, probes: list[dict[str, t.Any]]) -> None:
        routes, accept = self.asked.get("routes") or [], self.asked.get("accept_open_routes") or []
        findings = _security.probe(self.url, self.key, routes, accept)
        if findings:
            raise GateError(
                "security",
                _security.summary(findings),
                _security.remedy(findings, self.key is not None),
                probes=probes,
            )

    def _demand_life(self, probes: t.Sequence[t.Any] = ()) -> None:
        try:
            state = self.unit.state()
        except CommandError as exc:
            # Told as a failure of the server, so that whoever started it puts the previous one back.
            cause, remedy = f"systemd does not answer: {exc}", f"run systemctl status {self.unit.name} on the host"
            raise GateError("start", cause, remedy, probes=probes) from exc
        limit = self.restarts + (_PATIENCE if self.restarts else 0)
        if state.active in ("failed", "inactive") or state.sub == "auto-restart" or state.restarts > limit:
            raise GateError(
                "start", f"the container ended with exit code {state.exit_code}", "", died=True, probes=probes
            )


def deadline(load: dict[str, t.Any], paths: list[str]) -> float:
    """Work out how long loading may take.

    Args:
        load: `seconds` at least, `seconds_per_gib` on top, or `timeout` in their place.
        paths: The models' directories or files.

    Returns:
        Seconds.
    """
    if load.get("timeout"):
        return float(load["timeout"])
    return float(load["seconds"] + load["seconds_per_gib"] * sum(tree_size(path) for path in paths) / _GIB)


def tree_size(path: str) -> int:
    """Add up the bytes of a file, or of all files below a directory."""
    place = Path(path)
    paths = [place] if place.is_file() else place.rglob("*")
    return sum(file.stat().st_size for file in paths if file.is_file())
