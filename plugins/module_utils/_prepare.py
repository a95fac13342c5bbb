# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Everything about a change of a server that can fail while the one that serves is left alone."""

from __future__ import annotations

import os
import re
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, MissingError, run
from ansible_collections.llmops.serving.plugins.module_utils._host_ports import listening_ports
from ansible_collections.llmops.serving.plugins.module_utils._model_files import damaged_of
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest, StoredFile

# What systemd says of a word that it will leave out when it runs the unit.
_BAD_UNIT = re.compile(r"(?:ignoring|bad unit file setting|not executable|Failed to parse|Invalid)", re.IGNORECASE)
_ANY = ("0.0.0.0", "::")  # noqa: S104  compared, not bound


class Unready(Exception):  # noqa: N818  not an error of the program: the host is not ready
    """Something that a server needs is not there.

    Attributes:
        check: The step that failed.
        cause: Why.
        remedy: What to change.
    """

    def __init__(self, check: str, cause: str, remedy: str) -> None:
        """Say what is missing, why, and what to do."""
        super().__init__(f"{check}: {cause}; {remedy}")
        self.check = check
        self.cause = cause
        self.remedy = remedy


def demand_models(models: t.Iterable[t.Mapping[str, t.Any]]) -> None:
    """Demand that models are whole: each file there with the size that it had when it was verified.

    One whose time is another is read again. A folder that the model store knows nothing of only has to be there.

    Args:
        models: `name` and `path` of each.

    Raises:
        Unready: One is missing or damaged.
    """
    for model in models:
        folder = Path(model["path"])
        if not folder.is_dir():
            raise Unready(
                "model",
                "{} is not in the host's model store ({})".format(model["name"], folder),
                "run the role models first, with this entry of serving_models",
            )
        manifest = Manifest.load(folder.with_name(folder.name + ".json"))
        damaged = _damaged(folder, manifest.files) if manifest else []
        if damaged:
            raise Unready(
                "model",
                "{}: {} is not as it was fetched".format(
                    model["name"], " and ".join(str(folder / one) for one in damaged)
                ),
                "run the role models, which fetches what is damaged again (llmops apply does)",
            )


def _damaged(folder: Path, files: t.Iterable[StoredFile]) -> list[str]:
    damaged, doubtful = [], []
    for entry in files:
        try:
            found = (folder / entry.path).stat()
        except OSError:
            damaged.append(entry.path)
            continue
        if found.st_size != entry.size:
            damaged.append(entry.path)
        elif found.st_mtime_ns != entry.mtime_ns:
            doubtful.append(entry)
    return sorted(damaged + damaged_of(folder, doubtful))


def demand_port(bind: str, port: int) -> None:
    """Demand that nobody else listens where a server shall.

    Args:
        bind: The address that it is published on.
        port: Its port.

    Raises:
        Unready: Somebody does.
    """
    for entry in listening_ports(Path("/")):
        if entry["port"] == port and (bind in (entry["address"], *_ANY) or entry["address"] in _ANY):
            who = "{} (process {})".format(entry["process"], entry["pid"]) if entry["pid"] else "another program"
            raise Unready(
                "port",
                "{} of the host is held by {}, on {}".format(port, who, entry["address"]),
                "set port of the server to a free one, or stop that program",
            )


def demand_unit(name: str, text: str) -> None:
    """Demand that systemd understands a unit.

    Args:
        name: The unit's name, with its suffix.
        text: Its text.

    Raises:
        Unready: It does not, or would leave some of it out.
    """
    with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        place = Path(folder) / name
        place.write_text(text, encoding="utf-8")
        try:
            done = run(["systemd-analyze", "verify", "--man=no", str(place)], check=False)
        except MissingError:
            return
        except CommandError as exc:
            raise Unready("unit", str(exc), "run systemctl status on the host: systemd must answer") from exc
    said = [line for line in (done.out + done.err).splitlines() if name in line and _BAD_UNIT.search(line)]
    if said:
        words = said[0].replace(folder + os.sep, "")
        raise Unready(
            "unit", f"systemd does not take the unit: {words}", "correct environment and options of the server"
        )
