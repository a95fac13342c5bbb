# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all probes share: the report with its constant shape, the choice of the model, and the way to a route."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._http import (
    Answer,
    Endpoint,
    HttpError,
    one_line,
    request_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_RAW_LIMIT = 64 * 1024
_LONG_LIST = 24
_LONG_LIST_HEAD = 8
_LONG_TEXT = 8192
_SAMPLE = 200

# Statuses that say "not here", so that the next route may be tried.
_ABSENT = (404, 405)


class ProbeStop(Exception):  # noqa: N818  # not an error: a failed check is already in the report and ends the probe
    """Ends a probe early, after a check that leaves nothing more to judge."""


@dataclass(frozen=True)
class Served:
    """One model that a server lists.

    Attributes:
        name: Its id, to be used in requests.
        names: Every name it answers to.
        capabilities: What it can do in the server's words (infinity: `embed`, `rerank`, `classify`); None if not said.
    """

    name: str
    names: tuple[str, ...]
    capabilities: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Probe:
    """A kind of probe.

    Attributes:
        name: Task it judges.
        capability: What a server calls the ability for it in its list of models.
        options: Ansible argument spec of the probe's own options.
        check: Names what is wrong with the options beyond their types; empty if nothing.
        run: Sends the requests and fills the report.
    """

    name: str
    capability: str
    options: Mapping[str, Mapping[str, Any]]
    check: Callable[[Mapping[str, Any]], list[str]]
    run: Callable[[Context], None]


class Report:
    """Collects checks and says the verdict, always in the same shape."""

    def __init__(self, probe: str) -> None:
        """An empty report of a probe."""
        self.probe = probe
        self.checks: list[dict[str, Any]] = []
        self.latency = 0.0
        self.sample = ""
        self.model = ""
        self.raw: Any = None
        #: Name of the check that fails if a request now under way brings no answer.
        self.stage = "options"

    def add(self, name: str, ok: bool, detail: str, remedy: str = "") -> bool:
        """Adds one check.

        Args:
            name: Its name, the same in every run.
            ok: Its verdict.
            detail: What was seen.
            remedy: What to do if it failed.

        Returns:
            Its verdict.
        """
        text = detail if ok or not remedy else f"{detail}; {remedy}"
        self.checks.append({"name": name, "ok": ok, "detail": one_line(text, 1200)})
        return ok

    def demand(self, name: str, ok: bool, detail: str, remedy: str = "") -> None:
        """Adds one check without which the rest means nothing.

        Raises:
            ProbeStop: It failed.
        """
        if not self.add(name, ok, detail, remedy):
            raise ProbeStop(name)

    def fail(self, error: HttpError) -> None:
        """Turns a request without a usable answer into the failed check of the present stage."""
        self.add(self.stage, False, error.seen, error.remedy)
        if error.body is not None:
            self.raw = error.body

    def result(self, endpoint: Endpoint) -> dict[str, Any]:
        """The report as plain data, bounded in size, without the key."""
        failed = [check for check in self.checks if not check["ok"]]
        if failed:
            names = ", ".join(check["name"] for check in failed[1:])
            message = "{}: {}".format(failed[0]["name"], failed[0]["detail"])
            message += f" (also failed: {names})" if names else ""
        else:
            message = f"{self.probe}: {len(self.checks)} checks passed in {self.latency * 1000:.0f} ms"
        hide = endpoint.hide
        return {
            "probe": self.probe,
            "ok": bool(self.checks) and not failed,
            "checks": [dict(check, detail=hide(check["detail"])) for check in self.checks],
            "latency_ms": round(self.latency * 1000, 1),
            "sample": one_line(hide(self.sample), _SAMPLE),
            "model": hide(self.model),
            "raw": bounded(endpoint.hide_all(self.raw)),
            "msg": hide(one_line(message, 1500)),
        }


@dataclass(frozen=True)
class Context:
    """What a probe works with.

    Attributes:
        endpoint: Where to ask.
        options: The probe's options, with defaults, of the right types.
        report: Where verdicts go.
        served: The model to ask for.
    """

    endpoint: Endpoint
    options: Mapping[str, Any]
    report: Report
    served: Served

    def post(self, routes: Iterable[str], payload: Mapping[str, Any]) -> Answer:
        """Posts to the first route that the server has, with the model's name added.

        Args:
            routes: Full addresses, as `own_routes` or `engine_routes` list them.
            payload: The request without `model`.

        Raises:
            HttpError: No route gave an answer.
        """
        body = dict(payload)
        if self.served.name:
            body["model"] = self.served.name
        return first_answer(self.endpoint, "POST", routes, body)

    def check_model(self, answer: Any, required: bool) -> None:
        """Adds the check that the asked model answered.

        Args:
            answer: Parsed answer.
            required: Whether an answer without a name fails; some rerank and classify answers have no place for one.
        """
        said = answer.get("model") if isinstance(answer, dict) else None
        asked = self.served.name
        if not said and not required:
            self.report.add("model", True, "this form of answer names no model")
        else:
            self.report.add(
                "model",
                said in self.served.names or (not asked and bool(said)),
                f"asked {asked!r}, answered {said!r}",
                "another model answers than the one asked: set model to a name under /models, and see which model the "
                "engine was started with",
            )


def own_routes(endpoint: Endpoint, path: str) -> list[str]:
    """Where a route of the OpenAI API may be: under the base as given, else under `/v1` below it.

    A base that ends in `/v1` is taken at its word: clients will use it as it stands.
    """
    base = endpoint.url("")
    return [base + path] if base.endswith("/v1") else [base + path, base + "/v1" + path]


def engine_routes(endpoint: Endpoint, *paths: str) -> list[str]:
    """Where a route may be that has no place in the OpenAI API: engines put it under `/v1`, beside it, or both.

    `/v1` goes first: vLLM and Aphrodite guard only that with their key, and SGLang's `/classify` is another thing.
    Source: vLLM has `/classify` and TEI `/rerank`, `/predict` without `/v1`; SGLang has `/v1/rerank` only.
    """
    root = _above_v1(endpoint.url(""))
    return [top + path for path in paths for top in (root + "/v1", root)]


def _above_v1(base: str) -> str:
    return base.rpartition("/v1")[0] if base.endswith("/v1") else base


def first_answer(endpoint: Endpoint, method: str, routes: Iterable[str], payload: Any = None) -> Answer:
    """The answer of the first route that exists.

    Raises:
        HttpError: The first failure that is not the route's absence, else that of the first route.
    """
    absent: HttpError | None = None
    for url in routes:
        try:
            return request_json(endpoint, method, url, payload)
        except HttpError as error:
            if error.status not in _ABSENT or error.kind == "model_not_found":
                raise
            absent = absent or error
    if absent is None:
        raise ValueError("no routes")  # an error of the caller, not of the server
    raise absent


def listed_models(endpoint: Endpoint) -> list[Served] | None:
    """The models that a server says it serves; None if it has no list (TEI names its one model under `/info`).

    Raises:
        HttpError: The server does not answer, or not with a list.
    """
    try:
        body = first_answer(endpoint, "GET", own_routes(endpoint, "/models")).body
    except HttpError as error:
        if error.status not in _ABSENT:
            raise
        return _model_of_info(endpoint)
    entries = body.get("data") if isinstance(body, dict) else body
    if not isinstance(entries, list):
        raise HttpError("shape", f"GET {endpoint.url('/models')}: no list of models in the answer", body=body)
    return [_served(entry) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]


def _served(entry: Mapping[str, Any]) -> Served:
    aliases = entry.get("aliases")
    capabilities = entry.get("capabilities")
    return Served(
        name=entry["id"],
        names=(entry["id"], *(alias for alias in aliases or () if isinstance(alias, str))),
        capabilities=tuple(capabilities) if isinstance(capabilities, list) else None,
    )


def _model_of_info(endpoint: Endpoint) -> list[Served] | None:
    try:
        name = request_json(endpoint, "GET", _above_v1(endpoint.url("")) + "/info").body["model_id"]
    except (HttpError, KeyError, TypeError):
        return None
    return [Served(name, (name,))] if isinstance(name, str) else None


def choose_model(endpoint: Endpoint, probe: Probe, wanted: str | None, report: Report) -> Served:
    """The model to ask for: the wanted one, else the first listed one that can do the task.

    Raises:
        HttpError: The server's list is not to be had.
        ProbeStop: No model fits; the report says why.
    """
    report.stage = "models"
    models = listed_models(endpoint)
    if models is None:
        if wanted:
            report.add("models", True, "the server lists no models")
            return Served(wanted, (wanted,))
        seen = f"GET {endpoint.url('/models')}: the server lists no models"
        remedy = "check that url is the API's address (most engines want /v1 at its end), or set model"
        report.demand("models", False, seen, remedy)
    models = models or []
    names = ", ".join(model.name for model in models) or "none"
    if wanted:
        fits = [model for model in models if wanted in model.names]
        remedy = "set model to a served name, or start the server with that one"
        report.demand("models", bool(fits), f"asked {wanted!r}, served: {names}", remedy)
        return Served(wanted, fits[0].names)
    fits = [model for model in models if model.capabilities is None or probe.capability in model.capabilities]
    remedy = f"start the server with a model that can {probe.capability}, or give the url of another server"
    report.demand("models", bool(fits), f"served: {names}; none is for {probe.name}" if not fits else names, remedy)
    return fits[0]


def shape_error(answer: Answer, wanted: str) -> HttpError:
    """An error for JSON that is not of the task's form."""
    return HttpError("shape", f"POST {answer.url}: the answer has no {wanted}", 200, answer.body)


def in_order(entries: Sequence[Any]) -> list[Any] | None:
    """Entries sorted by their `index`, as they stand if they have none; None if the indices are not 0..n-1."""
    if not all(isinstance(entry, dict) and "index" in entry for entry in entries):
        return list(entries)
    indices = [entry["index"] for entry in entries]
    if not is_permutation(indices, len(entries)):
        return None
    return sorted(entries, key=lambda entry: int(entry["index"]))


def is_permutation(indices: Sequence[Any], count: int) -> bool:
    """Whether `indices` are the integers 0..count-1, each once."""
    integers = all(isinstance(index, int) and not isinstance(index, bool) for index in indices)
    return integers and sorted(indices) == list(range(count))


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number; engines write a NaN as `NaN` or as `null`."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def bounded(value: Any) -> Any:
    """A JSON value fit for a result: long lists and texts shortened, at most 64 KiB, no NaN.

    A value that stays too long becomes the beginning of its text.
    """
    short = _shortened(value)
    text = json.dumps(short)
    return short if len(text) <= _RAW_LIMIT else text[:_RAW_LIMIT]


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _shortened(item) for name, item in value.items()}
    if isinstance(value, list):
        if len(value) <= _LONG_LIST:
            return [_shortened(item) for item in value]
        more = f"... {len(value) - _LONG_LIST_HEAD} more"
        return [*(_shortened(item) for item in value[:_LONG_LIST_HEAD]), more]
    if isinstance(value, str) and len(value) > _LONG_TEXT:
        return f"{value[:_LONG_TEXT]}... {len(value) - _LONG_TEXT} more"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
