# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Plan the load on a server: which profile, which steps, and what speaks against it."""

from __future__ import annotations

import difflib
import functools
import ipaddress
import typing as t

import yaml

from ansible_collections.llmops.serving.plugins.module_utils._gate import server_url
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import ROLES, of_variant
from ansible_collections.llmops.serving.plugins.plugin_utils._problems import choice_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._site import (
    Site,
    model_names,
    served_names,
    task_of,
    variant_of,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# What a report may not show, and what is of no interest in it.
_SECRET: t.Final = ("api_key",)
# The names of vLLM's --goodput, in milliseconds.
OBJECTIVES: t.Final = ("ttft_ms", "tpot_ms", "e2el_ms")
_PLACES: t.Final = ("host", "controller")
_MEASURED: t.Final = ("chat", "embedding", "rerank")


@functools.cache
def profiles() -> dict[str, dict[str, t.Any]]:
    """Read the profiles of `roles/benchmark/profiles.yml`, by name."""
    text = (ROLES / "benchmark" / "profiles.yml").read_text(encoding="utf-8")
    return t.cast("dict[str, dict[str, t.Any]]", yaml.safe_load(text))


def asked_problems(asked: Mapping[str, t.Any]) -> list[str]:
    """List what is wrong with what was asked for, whatever the servers.

    Args:
        asked: The variables of the role `benchmark` without their prefix, of the right types.

    Returns:
        One line a problem.
    """
    problems = []
    name = asked["profile"]
    if name and name not in profiles():
        near = difflib.get_close_matches(name, profiles(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose among {', '.join(profiles())}"
        problems.append(f"benchmark_profile: there is no profile {name!r}: {hint}")
    for word in asked["objective"]:
        if word not in OBJECTIVES:
            problems.append(f"benchmark_objective.{word}: is none: choose among {', '.join(OBJECTIVES)}")
        elif not _is_positive(asked["objective"][word]):
            problems.append(f"benchmark_objective.{word}: must be milliseconds above 0")
    for word in ("concurrency", "batches"):
        problems += [f"benchmark_{word}: {value} is no number of 1 or more" for value in asked[word] if value < 1]
    problems += [f"benchmark_rates: {value} is no number above 0" for value in asked["rates"] if value <= 0]
    if asked["from"] not in _PLACES:
        problems.append(f"benchmark_from: {asked['from']!r} is no place: choose among {', '.join(_PLACES)}")
    problems += [f"benchmark_{word}: must be above 0" for word in ("max_seconds", "timeout") if asked[word] <= 0]
    problems += [f"benchmark_{word}: must be 1 or more" for word in ("requests", "repetitions") if asked[word] < 1]
    problems += [
        f"benchmark_{word}: must be 0 or more"
        for word in ("seconds", "warmup", "input_tokens", "output_tokens", "shared_tokens")
        if asked[word] < 0
    ]
    return problems


def _is_positive(value: t.Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def load_profile(asked: Mapping[str, t.Any], task: str) -> dict[str, t.Any]:
    """Give the profile that was asked for with the numbers that were said otherwise.

    Args:
        asked: The variables of the role `benchmark` without their prefix, without problems.
        task: What the model is for; it chooses the profile where none was named.

    Returns:
        `profile` of the report: name, work, concurrency, rates, batches, requests, seconds, max_seconds, repetitions,
        warmup, from and objective.
    """
    name = asked["profile"] or task
    profile = profiles()[name]
    work = {"task": profile["task"], "input_tokens": None, "output_tokens": None, "shared_tokens": 0, "batch": 1,
            "prompts": [], **profile["work"]}  # fmt: skip
    if "prompt" in work:
        prompt = work.pop("prompt")
        work["prompts"] = [prompt["text"] * prompt["times"]] * prompt["count"]
    for word in ("input_tokens", "output_tokens", "shared_tokens"):
        if asked[word] and not work["prompts"]:
            work[word] = asked[word]
    return {
        "name": name,
        "work": work,
        "concurrency": asked["concurrency"] or ([] if asked["rates"] else profile["concurrency"]),
        "rates": asked["rates"],
        "batches": (asked["batches"] or profile["batches"]) if "batches" in profile else [],
        "requests": profile.get("requests", asked["requests"]),
        "seconds": profile.get("seconds", asked["seconds"]),
        "max_seconds": asked["max_seconds"],
        "repetitions": asked["repetitions"],
        "warmup": asked["warmup"],
        "from": asked["from"],
        "objective": asked["objective"],
    }


def work_problem(server: Mapping[str, t.Any], profile: Mapping[str, t.Any]) -> str:
    """Tell why a server has no room for a profile's requests; nothing if it has, as far as its entry says."""
    work, context = profile["work"], server.get("context_length")
    if work["task"] != "chat" or work["prompts"]:
        return ""
    wanted = work["input_tokens"] + work["output_tokens"]
    if context and wanted > context:
        return (
            f"serving_servers[{server['name']!r}].context_length: a request of profile {profile['name']} is "
            f"{work['input_tokens']} + {work['output_tokens']} tokens, and {context} fit: set benchmark_input_tokens "
            "and benchmark_output_tokens lower, or choose another profile"
        )
    if work["shared_tokens"] >= work["input_tokens"]:
        return (
            f"benchmark_shared_tokens: {work['shared_tokens']} leaves nothing of benchmark_input_tokens: set it lower"
        )
    return ""


def steps(profile: Mapping[str, t.Any], repetitions: Sequence[int]) -> list[dict[str, t.Any]]:
    """List the steps of some repetitions, each one call of the module `benchmark_step`.

    Args:
        profile: From `load_profile`.
        repetitions: Their numbers; prompts follow from them, so no two repetitions send the same.

    Returns:
        Dicts of `label`, `repetition`, `concurrency` or `rate`, `batch` and `requests`.
    """
    return [
        {"label": f"{said}, {number} of {profile['repetitions']}", "repetition": number, **level}
        for number in repetitions
        for said, level in _levels(profile)
    ]


def _levels(profile: Mapping[str, t.Any]) -> Iterator[tuple[str, dict[str, t.Any]]]:
    for batch in profile["batches"] or [None]:
        by = f"{batch} in a request, " if batch else ""
        for at_once in profile["concurrency"]:
            # Fewer would never be that many at once.
            requests = max(profile["requests"], at_once if profile["work"]["prompts"] else 2 * at_once)
            yield f"{by}{at_once} at once", {"concurrency": at_once, "rate": None, "batch": batch, "requests": requests}
        for rate in profile["rates"]:
            level = {"concurrency": None, "rate": rate, "batch": batch, "requests": profile["requests"]}
            yield f"{by}{rate} a second", level


def benchmark_plan(
    servers: Sequence[Mapping[str, t.Any]], site: Site, asked: Mapping[str, t.Any], only: Sequence[str]
) -> dict[str, t.Any]:
    """Plan a load for each model of each server that can be measured.

    Args:
        servers: `serving_servers` without problems.
        site: What the host's servers share.
        asked: The variables of the role `benchmark` without their prefix.
        only: Names of the servers; none means all.

    Returns:
        `problems`, one line each, and `runs`, each with `name` (of the report), `server`, `candidate` (as the report
        has it), `profile`, `steps` and `inventory`.
    """
    problems = asked_problems(asked)
    problems += choice_problems(list(servers), list(only))
    if problems:
        return {"problems": problems, "runs": []}
    wanted = profiles()[asked["profile"]]["task"] if asked["profile"] else None
    runs = []
    for server in servers:
        if only and server["name"] not in only:
            continue
        for model, served, task in _measurable(server, site, wanted):
            profile = load_profile(asked, task)
            url, unreached = reach(server, asked)
            problems += [problem for problem in (work_problem(server, profile), unreached) if problem]
            candidate = candidate_of(server["name"], server, site, model)
            sole = len(model_names(server)) == 1
            runs.append({
                "name": server["name"] if sole else f"{server['name']}-{model}",
                "server": server["name"],
                "asks": served,
                "url": url,
                "profile": profile | {"work": profile["work"] | {"length": length_of(server, site, profile)}},
                "steps": steps(profile, range(1, profile["repetitions"] + 1)),
                "candidate": candidate,
                "inventory": about(server["name"], server, servers, asked),
            })  # fmt: skip
    if not runs and not problems:
        of = f" a model for {wanted}" if wanted else " a model for chat, embedding or rerank"
        problems.append(f"benchmark_profile: none of the servers has{of}: choose another profile, or other servers")
    return {"problems": problems, "runs": runs}


def reach(server: Mapping[str, t.Any], asked: Mapping[str, t.Any]) -> tuple[str, str]:
    """Tell where a server is asked from where the load comes from.

    Args:
        server: Its entry.
        asked: The variables of the role `benchmark` without their prefix; `address` is the host's as the controller
            knows it, empty where the host is the controller.

    Returns:
        Its URL, and why it cannot be reached, one of them empty.
    """
    bind = server.get("bind") or "127.0.0.1"
    if given := asked["urls"].get(server["name"]):
        return str(given), ""
    if asked["from"] == "host" or not asked["address"]:
        return server_url(bind, server["port"]) + "/v1", ""
    if ipaddress.ip_address(bind).is_loopback:
        return "", (
            f"benchmark_from: the controller cannot reach server {server['name']!r}, which listens on {bind} there: "
            "set benchmark_from to host, or benchmark_urls to an address that leads there"
        )
    place = asked["address"] if ipaddress.ip_address(bind).is_unspecified else bind
    return server_url(place, server["port"]) + "/v1", ""


def _measurable(server: Mapping[str, t.Any], site: Site, wanted: str | None) -> Iterator[tuple[str, str, str]]:
    """Give name, served name and task of each of a server's models that a profile fits."""
    definition = site.engines[server["engine"]]
    for name, served in zip(model_names(server), served_names(server), strict=True):
        task = task_of(name, site, definition)
        if task in _MEASURED and wanted in {None, task}:
            yield name, served, task


def length_of(server: Mapping[str, t.Any], site: Site, profile: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give the fields of a request that keep an answer at its full length on a server's engine, if it has one."""
    return dict(site.engines[server["engine"]]["fixed_length"]) if profile["work"]["output_tokens"] else {}


def about(
    name: str, server: Mapping[str, t.Any], servers: Sequence[Mapping[str, t.Any]], asked: Mapping[str, t.Any]
) -> dict[str, t.Any]:
    """Give `inventory` of a report: the server that it is about, what is laid over servers already, and who else runs.

    Args:
        name: The server's name, or that of the model where there is no server of it.
        server: Its entry, or none.
        servers: All servers of the host.
        asked: The variables of the role `benchmark` without their prefix.
    """
    beside = [other["name"] for other in servers if other["name"] != name]
    return {"server": name, "words": open_words(server), "changes": dict(asked["changes"]), "beside": beside}


def open_words(server: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give a server's words without secrets."""
    return {word: value for word, value in server.items() if word not in _SECRET}


def candidate_of(name: str, server: Mapping[str, t.Any], site: Site, model: str) -> dict[str, t.Any]:
    """Describe a candidate as the report has it, before it was measured."""
    definition = of_variant(site.engines[server["engine"]], variant_of(server, site))
    entry = site.models[model]
    return {
        "name": name,
        "engine": server["engine"],
        "title": definition["title"],
        "status": "measured",
        "reason": "",
        "remedy": "",
        "words": open_words(server),
        "changed": {},
        "model": {
            "name": model,
            "repo": entry.get("repo") or entry.get("url") or "",
            "revision": entry.get("revision") or entry.get("sha256") or "",
            "format": definition["models"]["format"],
        },
    }
