# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the report of a benchmark on the controller, from its first line to its page."""

from __future__ import annotations

import calendar
import time
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import written
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_page import page
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_report import complete
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._journal import (
    JOURNAL,
    JournalError,
    begin,
    disqualified,
    note,
    read,
    tell_together,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._measured import (
    failure_words,
    host_words,
    served_words,
    step_words,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site
from ansible_collections.llmops.serving.plugins.plugin_utils._tune import leave_out_tries, next_turn
from ansible_collections.llmops.serving.plugins.plugin_utils._versions import tool_versions

ARGUMENTS: dict[str, t.Any] = {
    "state": {"type": "str", "choices": ["begun", "noted", "searched", "finished"], "required": True},
    "path": {"type": "path", "required": True},
    "kind": {"type": "str", "choices": ["benchmark", "tournament", "tune"], "default": "benchmark"},
    "host": {"type": "str"},
    "facts": {"type": "dict"},
    "seed": {"type": "int", "default": 1},
    "profile": {"type": "dict"},
    "inventory": {"type": "dict"},
    "candidates": {"type": "list", "elements": "dict", "default": []},
    "candidate": {"type": "str"},
    "description": {"type": "dict"},
    "start": {"type": "int", "default": 1},
    "served": {"type": "dict"},
    "server": {"type": "str"},
    "prepared": {"type": "dict"},
    "results": {"type": "list", "elements": "dict"},
    "watched": {"type": "dict"},
    "failure": {"type": "dict"},
    "search": {"type": "dict"},
    "together": {"type": "bool", "default": False},
}
_NEEDS = [
    ("state", "begun", ("host", "facts", "profile", "inventory")),
    ("state", "noted", ("candidate",)),
    ("state", "searched", ("search",)),
]


class ActionModule(ActionBase):
    """The action; its options are documented in the module of the same name."""

    # Nothing is done on the host.
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the action."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, words = self.validate_argument_spec(  # type: ignore[no-untyped-call]
            argument_spec=ARGUMENTS, required_if=_NEEDS
        )
        words = plain(words)
        place = Path(words["path"]).expanduser().absolute()
        do = {"begun": _begun, "noted": _noted, "searched": _searched, "finished": _finished}[words["state"]]
        try:
            return result | do(place, words)
        except JournalError as exc:
            return result | {"failed": True, "msg": str(exc)}


def _begun(place: Path, words: dict[str, t.Any]) -> dict[str, t.Any]:
    header = {
        "format": "llmops-benchmark",
        "version": 1,
        "kind": words["kind"],
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": 0.0,
        "seed": words["seed"],
        "tools": tool_versions(),
        "host": host_words(words["host"], words["facts"]),
        "inventory": words["inventory"],
        "profile": words["profile"],
        "candidates": words["candidates"],
    }
    begin(place, header)
    return {"changed": False, "path": str(place)}


def _noted(place: Path, words: dict[str, t.Any]) -> dict[str, t.Any]:
    said: dict[str, t.Any] = {"candidate": words["description"]} if words["description"] else {}
    if words["served"]:
        said |= served_words(words["served"], words["server"] or words["candidate"])
    if prepared := words["prepared"]:
        said |= {"answers": prepared.get("answers") or [], "tools": prepared.get("versions") or {}}
    if words["results"] is not None:
        said |= step_words(words["results"], words["start"])
    if watched := words["watched"]:
        said |= {word: watched[word] for word in ("memory", "power_w", "gpus", "argv", "samples") if watched.get(word)}
    if words["failure"]:
        said |= failure_words(words["failure"])
    said |= disqualified(said.get("answers") or [])
    note(place, words["candidate"], said)
    return {"changed": False, "said": {word: said[word] for word in ("status", "reason", "remedy") if word in said}}


def _searched(place: Path, words: dict[str, t.Any]) -> dict[str, t.Any]:
    asked, document = words["search"], read(place)
    turn = next_turn(
        document,
        asked["server"],
        Site(engines=definitions(), **asked["site"]),
        cores=int(asked["cores"]),
        elapsed=_seconds_since(document),
        budget=float(asked["minutes"]) * 60,
        tries=int(asked.get("tries") or 0),
    )
    return {"changed": False, "turn": turn or {}}


def _seconds_since(document: dict[str, t.Any]) -> float:
    return time.time() - calendar.timegm(time.strptime(document["began"], "%Y-%m-%dT%H:%M:%SZ"))


def _finished(place: Path, words: dict[str, t.Any]) -> dict[str, t.Any]:
    document = read(place)
    if words["together"]:
        tell_together(document)
    document["seconds"] = round(_seconds_since(document), 1)
    if document["kind"] == "tune":
        leave_out_tries(document)
    whole = complete(document)
    files = {"report.json": written(whole), "report.html": page(whole)}
    if recommended := (whole.get("recommendation") or {}).get("yaml"):
        files["recommended.yml"] = recommended
    try:
        for name, text in files.items():
            temporary = place / f".{name}"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(place / name)
        (place / JOURNAL).unlink()
    except OSError as exc:
        msg = (
            f"benchmark_output: the report cannot be written: {exc.strerror or exc}: free some space; what was "
            f"measured lies in {place / JOURNAL}"
        )
        raise JournalError(msg) from exc
    bad = [candidate for candidate in whole["candidates"] if candidate["status"] != "measured"]
    told = {
        "changed": False,
        "path": str(place),
        "report": str(place / "report.json"),
        "page": str(place / "report.html"),
        "recommended": str(place / "recommended.yml") if recommended else "",
        "lines": list(whole["verdict"]["lines"]),
    }
    if len(bad) < len(whole["candidates"]):
        return told
    said = "; ".join(f"{one['name']}: {one['reason']}" + (f"; {one['remedy']}" if one["remedy"] else "") for one in bad)
    return told | {"failed": True, "msg": f"not measured: {said}"}
