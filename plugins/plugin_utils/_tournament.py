# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Plan a tournament: the same weights on the same host, served by one engine after the other."""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_plan import (
    about,
    asked_problems,
    candidate_of,
    length_of,
    load_profile,
    reach,
    steps,
    work_problem,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import of_variant
from ansible_collections.llmops.serving.plugins.plugin_utils._problems import inventory_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._site import (
    Site,
    format_of,
    model_names,
    served_names,
    task_of,
    variant_of,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The servers that run in a tournament are named so, and removed at its end.
GUEST: t.Final = "tournament-"
# Above the ports of servers, and below those that systems give out by themselves (from 32768).
_FIRST_PORT: t.Final = 18000
# What a server's entry says of one engine, or of one server alone.
_OWN: t.Final = ("name", "engine", "model", "models", "port", "bind", "api_key", "options", "unchecked_options",
                 "image", "variant", "environment", "served_model_name")  # fmt: skip
_STARTS: t.Final = 2


def tournament_plan(
    servers: Sequence[Mapping[str, t.Any]],
    site: Site,
    asked: Mapping[str, t.Any],
    models: Sequence[str],
    engines: Sequence[str],
) -> dict[str, t.Any]:
    """Plan a tournament.

    Args:
        servers: `serving_servers` of the host without problems.
        site: What they share; its models hold those of `models`.
        asked: The variables of the role `benchmark` without their prefix.
        models: The same weights, by the name of each of their formats; where no server serves them, clients ask for the
            first.
        engines: Which engines take part.

    Returns:
        `problems`, one line each; `profile`; `inventory` (server and words that the recommendation is about);
        `candidates` as the report has them, those that cannot take part with status failed and why, the others with
        `server`, their entry for `serving_servers`; `asks`, the model's name in a request.
    """
    problems = [*asked_problems(asked), *_choice_problems(site, models, engines)]
    if problems:
        return {"problems": problems}
    base = _base(servers, models)
    task = str(site.models[models[0]].get("task") or "chat")
    profile = load_profile(asked, task)
    if profile["work"]["task"] != task:
        wrong = f"benchmark_profile: {profile['name']} is for {profile['work']['task']}, and {models[0]} is for {task}"
        return {"problems": [f"{wrong}: choose another profile"]}
    candidates = [
        _candidate(engine, number, servers, site, base, models, asked["from"]) for number, engine in enumerate(engines)
    ]
    for candidate in candidates:
        if candidate["status"] != "failed":
            candidate["length"] = length_of(candidate["server"], site, profile)
            candidate["url"], unreached = reach_guest(candidate["server"], base, asked)
            found = (work_problem(candidate["server"], profile), unreached)
            problems += [problem.replace(GUEST, "") for problem in found if problem]
    if all(candidate["status"] == "failed" for candidate in candidates):
        problems += [f"{candidate['title']}: {candidate['reason']}" for candidate in candidates]
    return {
        "problems": problems,
        "profile": profile,
        "asks": _asks(base, models),
        "inventory": about(base.get("name") or models[0], base, servers, asked),
        "candidates": candidates,
    }


def _choice_problems(site: Site, models: Sequence[str], engines: Sequence[str]) -> list[str]:
    problems = []
    if not models:
        problems.append("tournament_models: is empty: name the model, once for each of its formats")
    if not engines:
        problems.append("tournament_engines: is empty: name engines, such as vllm and llama_cpp")
    for name in models:
        if name not in site.models:
            near = difflib.get_close_matches(name, site.models, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose among {', '.join(site.models) or 'none'}"
            problems.append(f"tournament_models: there is no model {name!r} in serving_models: {hint}")
    for name in engines:
        if name not in site.engines:
            near = difflib.get_close_matches(name, site.engines, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose among {', '.join(sorted(site.engines))}"
            problems.append(f"tournament_engines: there is no engine {name!r}: {hint}")
    problems += [f"tournament_engines: {name} is named twice" for name in {*engines} if list(engines).count(name) > 1]
    return problems


def _base(servers: Sequence[Mapping[str, t.Any]], models: Sequence[str]) -> Mapping[str, t.Any]:
    """Find the server whose settings are the common ones, and whom the recommendation is for.

    The first that serves one of the models and nothing else: where others are served as well, another engine might not.
    """
    serving = [server for server in servers if len(model_names(server)) == 1 and model_names(server)[0] in models]
    return serving[0] if serving else {}


def _candidate(  # noqa: PLR0913, PLR0917  what one entry is made of
    engine: str,
    number: int,
    servers: Sequence[Mapping[str, t.Any]],
    site: Site,
    base: Mapping[str, t.Any],
    models: Sequence[str],
    load_from: str,
) -> dict[str, t.Any]:
    definition = site.engines[engine]
    model = next((name for name in models if format_of(site.models[name]) == definition["models"]["format"]), None)
    if model is None:
        return _failed(
            engine, definition, f"it reads {definition['models']['format']}, and none of the models is that",
            "name the model in that format too: --model takes several names",
        )  # fmt: skip
    task = str(site.models[models[0]].get("task") or "chat")
    if task not in definition["tasks"]:
        return _failed(engine, definition, f"it does no {task}", "leave it out of the engines")
    entry = guest_entry(_words(engine, model, servers, site, base), engine, number, base, load_from)
    asks = _asks(base, models)
    if asks != (entry.get("served_model_name") or model):
        # One name for all, so that every engine is sent the same bytes.
        entry["served_model_name"] = asks
    keys = {"api_key": base["api_key"]} if load_from == "controller" and base.get("api_key") else {}
    if problems := inventory_problems([entry | keys], site):
        line = problems[0].replace(GUEST, "")
        reason, _separator, remedy = line.rpartition(": ")
        return _failed(engine, definition, reason or line, remedy)
    # As a guest it listens on loopback. In the place of the server it would be reached as that one is.
    reached = {word: base[word] for word in ("bind", "api_key", "port") if base.get(word)}
    obstacles = [line.replace(GUEST, "") for line in inventory_problems([entry | reached], site)]
    lacks = of_variant(definition, variant_of(entry, site))["lacks"]
    without = {word: lacks[word] for word in base if word in lacks and word not in entry}
    more = {"server": entry, "obstacle": "; ".join(obstacles), "without": without}
    return candidate_of(engine, entry, site, model) | more


def guest_entry(
    words: Mapping[str, t.Any], name: str, number: int, base: Mapping[str, t.Any], load_from: str
) -> dict[str, t.Any]:
    """Make the entry of a server that runs in a tournament only.

    Args:
        words: What it is to be.
        name: Which candidate it is.
        number: Its place among the candidates, for a port of its own.
        base: The server whose place it takes; where the load comes from elsewhere, its address is taken. Its keys
            follow when it is served, for plans are kept and shown.
        load_from: `host` or `controller`.
    """
    entry = {word: value for word, value in words.items() if word not in {"bind", "api_key"}}
    entry |= {"name": f"{GUEST}{name}", "port": _FIRST_PORT + number}
    if load_from == "controller":
        # It must be reached from there, as the server is whose place it takes.
        entry |= {word: base[word] for word in ("bind", "port") if base.get(word)}
    return entry


def _asks(base: Mapping[str, t.Any], models: Sequence[str]) -> str:
    """Name what clients ask for: as the server calls it now, so that whoever takes its place serves them."""
    return served_names(base)[0] if base else models[0]


def reach_guest(guest: Mapping[str, t.Any], base: Mapping[str, t.Any], asked: Mapping[str, t.Any]) -> tuple[str, str]:
    """Tell where a guest is asked, as `reach`: from elsewhere, where the server is whose place it takes."""
    urls = asked["urls"]
    if asked["from"] == "controller" and base.get("name") in urls:
        urls = {**urls, guest["name"]: urls[base["name"]]}
    return reach(guest, {**asked, "urls": urls})


def _words(
    engine: str, model: str, servers: Sequence[Mapping[str, t.Any]], site: Site, base: Mapping[str, t.Any]
) -> dict[str, t.Any]:
    """Give the settings of a candidate: those of the host's own server of that engine, else the common ones."""
    own = [server for server in servers if server["engine"] == engine and model_names(server) == [model]]
    if own:
        return dict(own[0])
    about = of_variant(site.engines[engine], variant_of({"name": ""}, site))
    lacking = [word for word in base if word in about["lacks"]]
    common = {word: value for word, value in base.items() if word not in _OWN and word not in lacking}
    task = task_of(model, site, site.engines[engine])
    # The server may have models for other tasks as well.
    gate = {name: options for name, options in (base.get("gate") or {}).items() if name == task}
    return common | {"engine": engine, "model": model} | ({"gate": gate} if "gate" in common else {})


def _failed(engine: str, definition: Mapping[str, t.Any], reason: str, remedy: str) -> dict[str, t.Any]:
    return {
        "name": engine,
        "engine": engine,
        "title": definition["title"],
        "status": "failed",
        "reason": reason,
        "remedy": remedy,
        "words": {"engine": engine},
        "changed": {},
        "model": {},
    }


def turns(names: Sequence[str], profile: Mapping[str, t.Any], *, together: bool) -> list[dict[str, t.Any]]:
    """Say who is measured when.

    Args:
        names: The candidates that take part.
        profile: From `load_profile`.
        together: Whether all of them can stay loaded side by side. Then the engines take turns after each repetition;
            otherwise each is started twice, and measured half of the repetitions after either start.

    Returns:
        Dicts of `candidate`, `start` (which start it is, 0 where it runs already), `steps` and `stop` (whether it is
        stopped afterwards).
    """
    repetitions = list(range(1, profile["repetitions"] + 1))
    if together:
        loads = [{"candidate": name, "start": 1, "steps": [], "stop": False} for name in names]
        measures = [
            {"candidate": name, "start": 0, "steps": steps(profile, [number]), "stop": False}
            for number in repetitions
            # Not always the same one after the same other.
            for name in (names if number % 2 else list(reversed(names)))
        ]
        return loads + measures
    half = -(-len(repetitions) // _STARTS)
    rounds = [part for part in (repetitions[:half], repetitions[half:]) if part]
    return [
        {"candidate": name, "start": number, "steps": steps(profile, part), "stop": True}
        for number, part in enumerate(rounds, start=1)
        for name in (names if number % 2 else list(reversed(names)))
    ]
