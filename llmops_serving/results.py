# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results of a run, read from the events of ansible-runner.

The driver has no schema of its own: a server or a model here is what the modules of the collection returned, with names
and types for what the driver shows. `data` of each keeps everything the module said.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.llmops.serving.plugins.plugin_utils._tournament import GUEST
from llmops_serving.drift import differences_of, lock_of
from llmops_serving.generations_result import history_of
from llmops_serving.models_result import store_of
from llmops_serving.removal import removal_of
from llmops_serving.waves import waves_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from llmops_serving.drift import Difference, LockWritten
    from llmops_serving.generations_result import History
    from llmops_serving.models_result import ModelStore
    from llmops_serving.removal import Removal
    from llmops_serving.waves import Waves

JSON_VERSION = 1
EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_WOULD_CHANGE, EXIT_REGRESSION, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130

_COLLECTION = "llmops.serving."
# Their failures are told with the server.
_CHANGES_A_SERVER = (_COLLECTION + "server", _COLLECTION + "server_rollback")
_FAILED = ("runner_on_failed", "runner_on_unreachable", "runner_on_async_failed", "runner_item_on_failed")
_STATUS = {
    "runner_on_ok": "ok",
    "runner_on_async_ok": "ok",
    "runner_item_on_ok": "ok",
    "runner_on_skipped": "skipped",
    "runner_item_on_skipped": "skipped",
    "runner_on_failed": "failed",
    "runner_on_async_failed": "failed",
    "runner_item_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
}
# What Ansible adds to the result of a module. The loop's item holds the inventory's words, an API key among them.
_ANSIBLE_ADDED = ("invocation", "item", "exception", "warnings", "deprecations", "ansible_loop_var", "ansible_facts")


@dataclass(frozen=True)
class Check:
    """One judgement of a probe.

    Attributes:
        name: What was judged, such as `text` or `finish_reason`.
        ok: Whether the answer passed.
        detail: What was seen.
    """

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Probe:
    """A real request whose answer was judged by meaning.

    Attributes:
        probe: Its kind: chat, embedding, rerank or classify.
        ok: Whether every check passed.
        model: The model that answered, empty if none did.
        sample: A part of the answer, for people.
        latency_ms: Time of the request in milliseconds, None if there was no answer.
        checks: The single judgements.
        msg: One line; for a failure what was seen and what to do.
    """

    probe: str
    ok: bool
    model: str = ""
    sample: str = ""
    latency_ms: float | None = None
    checks: tuple[Check, ...] = ()
    msg: str = ""


@dataclass(frozen=True)
class Server:
    """One running engine, as the modules `server` and `server_info` describe it.

    Attributes:
        name: Its name in `serving_servers`.
        host: The host it runs on.
        ok: Whether it serves as the inventory says, and no probe failed.
        changed: Whether it was changed, or would be (check mode).
        engine: The engine.
        action: unchanged, created, updated, restarted, rolled_back or removed; empty where it was only looked at.
        url: The base URL on the host itself.
        models: The models it serves.
        state: What systemd says, if asked.
        seconds: Durations in seconds by phase: pull, start, wait, gate, total.
        probes: The probes of its gate.
        msg: One line; for a failure what happened.
        failed_check: The check that failed.
        cause: Why it failed.
        remedy: What to do about it.
        rolled_back: Whether the previous generation serves again.
        away_s: Seconds in which nothing answered, of a change that failed.
        second: Check and cause of the previous generation's own failure, where that does not serve any more either.
        kept_failed: Number of the generation that failed, where it is kept for inspection.
        log: The last log lines of a failed engine.
        data: Everything that the module returned.
    """

    name: str
    host: str
    ok: bool
    changed: bool = False
    engine: str = ""
    action: str = ""
    url: str = ""
    models: tuple[str, ...] = ()
    state: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    probes: tuple[Probe, ...] = ()
    msg: str = ""
    failed_check: str = ""
    cause: str = ""
    remedy: str = ""
    rolled_back: bool = False
    away_s: float = 0.0
    second: Mapping[str, str] = field(default_factory=dict)
    kept_failed: int | None = None
    log: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Model:
    """Weights in a host's model store, as the module `model` describes them.

    Attributes:
        name: The name in `serving_models`.
        path: The place on the host.
        changed: Whether it was fetched, or would be (check mode).
        size: Size in bytes, None if unknown.
        seconds: Time to fetch and verify in seconds, None if unknown.
        data: Everything that the module returned.
    """

    name: str
    path: str = ""
    changed: bool = False
    size: int | None = None
    seconds: float | None = None
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Fit:
    """Whether one server fits into the memory of its host, by the preflight's sum.

    Attributes:
        server: Its name in `serving_servers`.
        verdict: `fits`, `fits with` (what the remedy says), `does not fit`, or `unknown`.
        where: The memory it was compared with, such as the GPUs and what is free there.
        line: The sum in GiB, for people.
        remedy: What to change, empty where nothing need be.
        data: Everything that the module returned.
    """

    server: str
    verdict: str
    where: str = ""
    line: str = ""
    remedy: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Report:
    """What a benchmark, a tournament or a tuning left on the controller.

    Attributes:
        path: Its directory.
        report: Its JSON, docs/benchmark.md says what is in it.
        page: Its HTML.
        recommended: The variables that an apply takes, empty where nothing is recommended.
    """

    path: str
    report: str
    page: str
    recommended: str = ""

    @cached_property
    def document(self) -> dict[str, Any]:
        """The content of the JSON."""
        return cast("dict[str, Any]", json.loads(Path(self.report).read_text(encoding="utf-8")))

    def to_dict(self) -> dict[str, Any]:
        """Give the paths, and what was found without every single request."""
        words = ("kind", "host", "profile", "summary", "verdict", "recommendation")
        found = {word: self.document[word] for word in words}
        return {"report": self.report, "page": self.page, "recommended": self.recommended, **found}


@dataclass(frozen=True)
class Step:
    """One task on one host, or one item of its loop.

    Attributes:
        host: The host.
        name: The task's name.
        action: The module, fully qualified.
        status: ok, changed, skipped, failed or unreachable.
        item: The label of the loop's item, empty outside a loop.
        seconds: Duration in seconds, None where Ansible measures none (items of a loop).
    """

    host: str
    name: str
    action: str
    status: str
    item: str = ""
    seconds: float | None = None

    @property
    def label(self) -> str:
        """Name of the step with its item."""
        return f"{self.name} ({self.item})" if self.item else self.name


@dataclass(frozen=True)
class HostResult:
    """What the run did to one host.

    Attributes:
        name: The host's name in the inventory.
        ok: Whether all is well on it.
        changed: Whether anything was changed, or would be (check mode).
        unreachable: Whether Ansible could not get to it.
        servers: Its servers.
        models: Its models by name.
        problems: What the preflight found wrong, a line each; nothing was changed then.
        notices: What the user should know although nothing is wrong, a line each.
        fits: What each of its servers needs of its memory, in check mode.
        reports: What was measured on it.
        store: Its model store, where that was looked at.
        removal: What was removed from it, stays and is left, where something was to be removed.
        histories: The generations of its servers, where those were looked at.
        differs: What on it is not as the inventory says, in check mode.
        locks: Lock files that were written for it and others.
        error: The task that failed and why, None if none did.
        steps: What ran, in order, without what was skipped.
    """

    name: str
    ok: bool
    changed: bool = False
    unreachable: bool = False
    servers: tuple[Server, ...] = ()
    models: Mapping[str, Model] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    fits: tuple[Fit, ...] = ()
    reports: tuple[Report, ...] = ()
    store: ModelStore | None = None
    removal: Removal | None = None
    histories: tuple[History, ...] = ()
    differs: tuple[Difference, ...] = ()
    locks: tuple[LockWritten, ...] = ()
    error: str | None = None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    Attributes:
        command: plan, apply, verify, diagnose, remove, history, rollback, benchmark, tournament, tune, restore, or
            `models list` and the like.
        ok: Whether all is well on every host.
        changed: Whether anything was changed, or would be (check mode).
        check: Whether nothing was changed on purpose (plan, or check mode).
        hosts: One entry for each host of the run, by name.
        seconds: Time of the whole run in seconds.
        errors: What Ansible said that belongs to no host.
        interrupted: Whether the run was stopped before its end.
        waves: How far the waves came, None where the hosts were not divided.
    """

    command: str
    ok: bool
    changed: bool = False
    check: bool = False
    hosts: tuple[HostResult, ...] = ()
    seconds: float = 0.0
    errors: tuple[str, ...] = ()
    interrupted: bool = False
    waves: Waves | None = None

    @property
    def servers(self) -> tuple[Server, ...]:
        """Every server of every host."""
        return tuple(server for host in self.hosts for server in host.servers)

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Every probe of every server."""
        return tuple(probe for server in self.servers for probe in server.probes)

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 0 done, 1 failed, 3 would change, 130 interrupted."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        if not self.ok:
            return EXIT_FAILED
        differs = self.command == "drift" and any(host.differs for host in self.hosts)
        return EXIT_WOULD_CHANGE if differs or (self.check and self.changed) else EXIT_OK

    def to_dict(self) -> dict[str, Any]:
        """Turn the results into what `--json` prints.

        Returns:
            JSON values only; servers and models are what the modules returned, without what Ansible adds to it.
        """
        return {
            "version": JSON_VERSION,
            "command": self.command,
            "ok": self.ok,
            "changed": self.changed,
            "check": self.check,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
            "errors": list(self.errors),
            **({"waves": self.waves.to_dict()} if self.waves else {}),
            "hosts": [
                {
                    "name": host.name,
                    "ok": host.ok,
                    "changed": host.changed,
                    "unreachable": host.unreachable,
                    "servers": [
                        {**server.data, "name": server.name, "ok": server.ok, "changed": server.changed}
                        for server in host.servers
                    ],
                    "models": {name: dict(model.data) for name, model in host.models.items()},
                    "problems": list(host.problems),
                    "notices": list(host.notices),
                    "fits": [dict(fit.data) for fit in host.fits],
                    "reports": [report.to_dict() for report in host.reports],
                    **({"store": dict(host.store.data)} if host.store else {}),
                    **({"removal": dict(host.removal.data)} if host.removal else {}),
                    **({"histories": [dict(one.data) for one in host.histories]} if host.histories else {}),
                    **({"differs": [asdict(one) for one in host.differs]} if self.check else {}),
                    **({"locks": [one.to_dict() for one in host.locks]} if host.locks else {}),
                    "error": host.error,
                }
                for host in self.hosts
            ],
        }


@dataclass
class _Host:
    """A host while its events are read."""

    servers: dict[str, Server] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    fits: tuple[Fit, ...] = ()
    reports: list[Report] = field(default_factory=list)
    store: ModelStore | None = None
    removal: Removal | None = None
    histories: list[History] = field(default_factory=list)
    # What the module drift_info listed, None where it did not look.
    looked: list[dict[str, Any]] | None = None
    locks: list[LockWritten] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    looped: set[str] = field(default_factory=set)
    unreachable: bool = False


def parse_events(
    events: Iterable[Mapping[str, Any]],
    *,
    command: str,
    check: bool = False,
    rc: int = 0,
    interrupted: bool = False,
) -> RunResult:
    """Read the events of a run into its results.

    Args:
        events: The events of ansible-runner, in order.
        command: plan, apply, verify or remove.
        check: Whether the run was one in check mode.
        rc: Exit code of ansible-playbook.
        interrupted: Whether the run was stopped before its end.

    Returns:
        The results; their `seconds` are for the caller to fill in. A failure that the playbook forgave (rescued or
        ignored) fails nothing here, but for a server: a server that failed has failed, whatever the playbook made of
        it.
    """
    hosts: dict[str, _Host] = {}
    stats: Mapping[str, Any] | None = None
    lines: list[str] = []
    events = tuple(events)
    for event in events:
        kind, data = event.get("event", ""), event.get("event_data") or {}
        if kind == "playbook_on_stats":
            stats = data
        elif kind in _STATUS:
            _read(hosts.setdefault(data["host"], _Host()), kind, data)
        elif kind in {"verbose", "error"}:
            lines += str(event.get("stdout", "")).splitlines()
    results = tuple(
        _finish(name, host, stats) for name, host in sorted(hosts.items(), key=lambda pair: _natural(pair[0]))
    )
    waves = waves_of(events, [host.name for host in results if not host.ok])
    if waves:
        # What they said is that they were not touched.
        results = tuple(host for host in results if host.name not in waves.not_reached)
    failed_hosts = any(not host.ok for host in results)
    errors = () if failed_hosts or interrupted or rc == 0 else tuple(error_lines(lines))
    ok = not interrupted and not failed_hosts and rc == 0
    if rc and not errors and not failed_hosts and not interrupted:
        errors = (
            f"ansible-playbook ended with exit code {rc} and named no reason; run again with -v to see its output",
        )
    changed = any(host.changed for host in results)
    return RunResult(command, ok, changed, check, results, 0.0, errors, interrupted, waves)


def _natural(name: str) -> list[tuple[int, int, str]]:
    # lab2 before lab10.
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def _read(host: _Host, kind: str, data: Mapping[str, Any]) -> None:
    step = step_of(kind, data)
    result = data.get("res") or {}
    task = str(data.get("task_uuid", ""))
    aggregate = not kind.startswith("runner_item") and task in host.looped
    if kind.startswith("runner_item"):
        host.looped.add(task)
    if step.status == "skipped":
        return
    if not aggregate:
        host.steps.append(step)
        action = step.action.removeprefix(_COLLECTION)
        if reader := _READERS.get(action):
            reader(host, result, step)
            _read_warnings(host, result)
    if kind in _FAILED and not aggregate and not data.get("ignore_errors"):
        _read_failure(host, kind, result, step)


def _read_warnings(host: _Host, result: Mapping[str, Any]) -> None:
    """Keep what a module warned of, such as a file that was damaged and has come again."""
    told = result.get("warnings")
    for warning in told if isinstance(told, list) else []:
        if isinstance(warning, str) and warning not in host.notices:
            host.notices.append(warning)


def _read_failure(host: _Host, kind: str, result: Mapping[str, Any], step: Step) -> None:
    if kind == "runner_on_unreachable":
        host.unreachable = True
        host.errors.append(message_of(result))
    elif listed := problems_of(result):
        host.problems += [line for line in listed if line not in host.problems]
    elif not _tells_itself(result, step):
        host.errors.append(f"{step.label}: {message_of(result)}")


def step_of(kind: str, data: Mapping[str, Any]) -> Step:
    """Read one event of a host into a step.

    Args:
        kind: The event's name, one of runner_on_* or runner_item_on_*.
        data: The event's data.

    Returns:
        The step.
    """
    result = data.get("res") or {}
    status = _STATUS.get(kind, "ok")
    if status == "ok" and result.get("changed"):
        status = "changed"
    return Step(
        host=str(data.get("host", "")),
        name=str(data.get("task") or data.get("task_action") or ""),
        action=str(data.get("resolved_action") or data.get("task_action") or ""),
        status=status,
        item=_item_label(result),
        seconds=data.get("duration"),
    )


def _item_label(result: Mapping[str, Any]) -> str:
    label = result.get("_ansible_item_label", "")
    # Without a label of its own a loop over dicts is labelled by the whole dict, secrets included.
    if isinstance(label, dict):
        label = label.get("name", "")
    return str(label) if isinstance(label, str | int) else ""


def problems_of(result: Mapping[str, Any]) -> list[str]:
    """Find the problems that a failed task lists.

    Args:
        result: Its result.

    Returns:
        What it says under `problems`, or its message where that is a list; nothing for a failure of another kind.
    """
    listed = result.get("problems") or result.get("msg")
    return [str(line) for line in listed] if isinstance(listed, list) else []


def error_lines(lines: Iterable[str]) -> Iterator[str]:
    """Reduce what ansible-playbook printed to the errors in it.

    Args:
        lines: Lines of its output.

    Yields:
        Each error with its place in a file, without the excerpt of the source.
    """
    error = ""
    for line in lines:
        text = line.strip()
        if text.startswith(("[ERROR]:", "ERROR!")):
            if error:
                yield error
            error = text.removeprefix("[ERROR]:").removeprefix("ERROR!").strip()
        elif error and text.startswith("Origin:"):
            yield f"{error} ({text.removeprefix('Origin:').strip()})"
            error = ""
    if error:
        yield error


def message_of(result: Mapping[str, Any]) -> str:
    """Find why a task failed.

    Args:
        result: Its result.

    Returns:
        The reason, without Ansible's preambles.
    """
    said = result.get("msg") or result.get("reason") or result.get("censored") or "failed without a message"
    text = "; ".join(map(str, said)) if isinstance(said, list) else str(said).strip()
    text = text.removeprefix("Task failed:").strip().removeprefix("Module failed:").strip()
    # A crash or a failed command says what happened only in its last line on stderr.
    stderr = str(result.get("module_stderr") or result.get("stderr") or "").strip()
    last = stderr.splitlines()[-1].strip() if stderr else ""
    return f"{text}: {last}" if last and last not in text else text


def _tells_itself(result: Mapping[str, Any], step: Step) -> bool:
    """Whether the servers of a failed task say themselves why they failed."""
    if step.action == _COLLECTION + "purge":
        return any(entry.get("failed") for entry in result.get("servers") or [])
    return step.action in _CHANGES_A_SERVER and _is_server(result, step)


def _is_server(result: Mapping[str, Any], step: Step) -> bool:
    return bool(result.get("name") or step.item)


def _read_server(host: _Host, result: Mapping[str, Any], step: Step) -> None:
    # Those that run in a tournament only are told in its report, with all that they failed at.
    if _is_server(result, step) and not str(result.get("name") or step.item).startswith(GUEST):
        server = server_of(step.host, result, failed=step.status == "failed", name=step.item)
        host.servers[server.name] = server


def _read_server_info(host: _Host, result: Mapping[str, Any], step: Step) -> None:
    for entry in result.get("servers") or []:
        server = server_of(step.host, entry, failed=bool(entry.get("failed")))
        # In a run that also applied, what was done is worth more than what was seen afterwards; a comparison is not.
        known = host.servers.get(server.name)
        if known is None or "differs" in known.data:
            host.servers[server.name] = server


def _read_model(host: _Host, result: Mapping[str, Any], step: Step) -> None:
    del step
    for name, entry in (result.get("models") or {}).items():
        if isinstance(entry, dict):
            host.models[name] = model_of(name, entry)


def _read_preflight(host: _Host, result: Mapping[str, Any], step: Step) -> None:
    del step
    for problem in result.get("problems") or []:
        if str(problem) not in host.problems:
            host.problems.append(str(problem))
    host.notices += [str(notice) for notice in result.get("notices") or [] if str(notice) not in host.notices]
    # A second look, after a driver was installed, knows more than the first.
    host.fits = tuple(fit_of(entry) for entry in result.get("fits") or [] if isinstance(entry, dict))


def _read_report(host: _Host, result: Mapping[str, Any], step: Step) -> None:
    del step
    if result.get("report"):
        host.reports.append(Report(*(_text(result, word) for word in ("path", "report", "page", "recommended"))))


def _read_store(host: _Host, result: Mapping[str, Any], step: Step) -> None:
    del step
    host.store = store_of(own_words(result))


def _read_removal(host: _Host, result: Mapping[str, Any], step: Step) -> None:
    if step.action == _COLLECTION + "purge":
        _read_server_info(host, result, step)
        host.notices += [str(note) for note in result.get("notes") or []]
    host.removal = removal_of(own_words(result), host.removal)


def _read_histories(host: _Host, result: Mapping[str, Any], step: Step) -> None:
    del step
    host.histories += [history_of(entry) for entry in result.get("servers") or []]


def _read_drift(host: _Host, result: Mapping[str, Any], step: Step) -> None:
    del step
    if "differs" in result:
        host.looked = list(result["differs"])


def _read_lock(host: _Host, result: Mapping[str, Any], step: Step) -> None:
    del step
    if written := lock_of(result):
        host.locks.append(written)


_READERS = {
    "server": _read_server,
    "server_rollback": _read_server,
    "server_history_info": _read_histories,
    "server_info": _read_server_info,
    "server_diagnosis": _read_server_info,
    # What was held runs again.
    "server_hold": _read_server_info,
    "benchmark_report": _read_report,
    "model": _read_model,
    "model_store": _read_store,
    "purge": _read_removal,
    "leftovers_info": _read_removal,
    "drift_info": _read_drift,
    "lock_file": _read_lock,
    "preflight": _read_preflight,
}


def server_of(host: str, result: Mapping[str, Any], *, failed: bool, name: str = "") -> Server:
    """Read the result of the module `server`, or an entry of `server_info`.

    Args:
        host: The host it runs on.
        result: The module's result.
        failed: Whether the module failed.
        name: The name to use where the result has none.

    Returns:
        The server.
    """
    data = own_words(result)
    probes = tuple(probe_of(entry) for entry in data.get("probes") or [] if isinstance(entry, dict))
    models = data.get("models") or []
    return Server(
        name=str(data.get("name") or name),
        host=host,
        ok=not failed and all(probe.ok for probe in probes) and data.get("ok", True) is not False,
        changed=bool(data.get("changed")),
        engine=_text(data, "engine"),
        action=_text(data, "action"),
        url=_text(data, "url"),
        models=tuple(str(model) for model in models) if isinstance(models, list | dict) else (str(models),),
        state=_text(data, "state"),
        seconds={str(phase): float(value) for phase, value in _numbers(data.get("seconds"))},
        probes=probes,
        msg=_text(data, "msg"),
        failed_check=_text(data, "failed_check"),
        cause=_text(data, "cause"),
        remedy=_text(data, "remedy"),
        rolled_back=bool(data.get("rolled_back")),
        away_s=float(data.get("away_s") or 0.0),
        second=data.get("second") or {},
        kept_failed=data.get("kept_failed"),
        log=_log(data.get("log")),
        data=data,
    )


def probe_of(result: Mapping[str, Any]) -> Probe:
    """Read the result of a probe.

    Args:
        result: What `run_probe` returned.

    Returns:
        The probe.
    """
    latency = result.get("latency_ms")
    return Probe(
        probe=_text(result, "probe"),
        ok=bool(result.get("ok")),
        model=_text(result, "model"),
        sample=_text(result, "sample"),
        latency_ms=float(latency) if isinstance(latency, int | float) else None,
        checks=tuple(
            Check(_text(check, "name"), bool(check.get("ok")), _text(check, "detail"))
            for check in result.get("checks") or []
            if isinstance(check, dict)
        ),
        msg=_text(result, "msg"),
    )


def model_of(name: str, result: Mapping[str, Any]) -> Model:
    """Read an entry of `models` in the result of the module `model`.

    Args:
        name: The model's name.
        result: The entry.

    Returns:
        The model.
    """
    size, seconds = result.get("bytes"), result.get("seconds")
    return Model(
        name=name,
        path=_text(result, "path"),
        changed=bool(result.get("changed")),
        size=int(size) if isinstance(size, int | float) else None,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        data=dict(result),
    )


def fit_of(result: Mapping[str, Any]) -> Fit:
    """Read an entry of `fits` in the result of the module `preflight`.

    Args:
        result: The entry.

    Returns:
        What one server needs.
    """
    words = {word: _text(result, word) for word in ("server", "verdict", "where", "line", "remedy")}
    return Fit(**words, data=dict(result))


def own_words(result: Mapping[str, Any]) -> dict[str, Any]:
    """Take from a result what the module itself said.

    Args:
        result: The result of a task or of a loop's item.

    Returns:
        The result without what Ansible adds: its arguments, the loop's item (which may hold secrets), tracebacks.
    """
    unwanted = {*_ANSIBLE_ADDED, str(result.get("ansible_loop_var", "item"))}
    return {key: value for key, value in result.items() if key not in unwanted and not key.startswith("_ansible")}


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return "" if value is None else str(value)


def _log(value: object) -> str:
    return "\n".join(str(line) for line in value) if isinstance(value, list) else str(value or "")


def _numbers(value: object) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, number in cast("dict[str, Any]", value).items():
            if isinstance(number, int | float):
                yield key, number


def _finish(name: str, host: _Host, stats: Mapping[str, Any] | None) -> HostResult:
    if stats is None:
        failed, changed = bool(host.errors), any(step.status == "changed" for step in host.steps)
    else:
        failed = bool((stats.get("failures") or {}).get(name) or (stats.get("dark") or {}).get(name))
        changed = bool((stats.get("changed") or {}).get(name))
    servers_ok = all(server.ok for server in host.servers.values())
    # Like errors, problems count where they failed the host: a candidate of a tournament that has some is left out.
    problems = tuple(host.problems) if failed or stats is None else ()
    # Errors of a host that did not fail in the end were rescued or ignored by the playbook.
    error = host.errors[-1] if host.errors and (failed or host.unreachable) else None
    return HostResult(
        name=name,
        ok=not failed and not problems and servers_ok,
        changed=changed,
        unreachable=host.unreachable,
        servers=tuple(host.servers.values()),
        models=host.models,
        problems=problems,
        notices=tuple(host.notices),
        fits=host.fits,
        reports=tuple(host.reports),
        store=host.store,
        removal=host.removal,
        histories=tuple(host.histories),
        differs=differences_of((server.data for server in host.servers.values()), host.looked, host.steps),
        locks=tuple(host.locks),
        error=error,
        steps=tuple(host.steps),
    )
