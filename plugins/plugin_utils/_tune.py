# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Search the few options of an engine that matter for speed: from the server's own settings uphill, one at a time.

Each try is one repetition, so it says which way is up and no more; at the end the server's own settings and the best
ones are measured again, each after a new start, and only intervals that do not overlap count.
"""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_plan import (
    about,
    asked_problems,
    candidate_of,
    length_of,
    load_profile,
    steps,
    work_problem,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import best_level, rate_of, summarise
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_verdict import deciding_metric
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import of_variant
from ansible_collections.llmops.serving.plugins.plugin_utils._problems import inventory_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._site import (
    Site,
    model_names,
    served_names,
    task_of,
    variant_of,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._tournament import guest_entry, reach_guest

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: The name of the server's own settings among the candidates.
OWN: t.Final = "as-it-is"
# By how much a try must be better than the best before it to be the next to start from; less is noise.
_BETTER: t.Final = 1.02
_REPETITIONS: t.Final = 3
_STARTS: t.Final = 2


class Knob(t.NamedTuple):
    """One option that matters: a common word of servers, or a flag of the engine, and the values worth trying."""

    name: str
    is_word: bool
    values: tuple[t.Any, ...]

    def read(self, words: Mapping[str, t.Any]) -> t.Any:
        """Give the value that a server's words say; None where they leave it to the engine."""
        return words.get(self.name) if self.is_word else (words.get("options") or {}).get(self.name)

    def turned(self, words: Mapping[str, t.Any], value: t.Any) -> dict[str, t.Any]:
        """Give a server's words with another value."""
        if self.is_word:
            return {**words, self.name: value}
        return {**words, "options": {**(words.get("options") or {}), self.name: value}}


def tune_plan(
    servers: Sequence[Mapping[str, t.Any]], site: Site, asked: Mapping[str, t.Any], name: str
) -> dict[str, t.Any]:
    """Plan a search for the best settings of a server.

    Args:
        servers: `serving_servers` of the host without problems.
        site: What they share.
        asked: The variables of the role `benchmark` without their prefix.
        name: The server.

    Returns:
        `problems`, one line each; `profile`, `inventory`, `asks`, `url` and `length` as for a tournament; `server`, the
        entry of its own settings, and `candidates`, that one alone.
    """
    found = [server for server in servers if server["name"] == name]
    if not found:
        have = ", ".join(str(server["name"]) for server in servers) or "none"
        return {"problems": [f"tournament_server: this host has no server {name!r}: choose among {have}"]}
    server, problems = found[0], asked_problems(asked)
    model, served = model_names(server)[0], served_names(server)[0]
    task = task_of(model, site, site.engines[server["engine"]])
    if not site.engines[server["engine"]]["tune"]:
        problems.append(f"tournament_server: nothing is known to matter for the speed of {server['engine']}")
    if problems:
        return {"problems": problems}
    profile = load_profile(asked, task)
    if profile["work"]["task"] != task:
        wrong = f"benchmark_profile: {profile['name']} is for {profile['work']['task']}, and {model} is for {task}"
        return {"problems": [f"{wrong}: choose another profile"]}
    entry = guest_entry(server, "try", 0, server, asked["from"])
    url, unreached = reach_guest(entry, server, asked)
    return {
        "problems": [problem for problem in (work_problem(server, profile), unreached) if problem],
        "profile": profile,
        "asks": served,
        "url": url,
        "length": length_of(server, site, profile),
        "inventory": about(name, server, servers, asked),
        "server": entry,
        "candidates": [candidate_of(OWN, entry, site, model)],
    }


def knobs(server: Mapping[str, t.Any], site: Site, cores: int) -> list[Knob]:
    """List what can be turned on a server.

    Args:
        server: Its entry.
        site: What the host's servers share.
        cores: Processors of the host.
    """
    definition = of_variant(site.engines[server["engine"]], variant_of(server, site))
    found = []
    for entry in definition["tune"]:
        name = entry.get("word") or entry["option"]
        lacking = "word" in entry and name not in definition["options"]
        if lacking or entry.get("accelerator", site.accelerator) != site.accelerator:
            continue
        values = (
            sorted({max(cores // 4, 1), max(cores // 2, 1), cores}) if entry["values"] == "cores" else entry["values"]
        )
        found.append(Knob(name, "word" in entry, tuple(values)))
    return found


def next_turn(  # noqa: PLR0913  what a search is made of
    document: Mapping[str, t.Any],
    server: Mapping[str, t.Any],
    site: Site,
    *,
    cores: int,
    elapsed: float,
    budget: float,
    tries: int = 0,
) -> dict[str, t.Any] | None:
    """Say what to measure next.

    Args:
        document: The report as far as it is known.
        server: The entry of the server's own settings, as a guest.
        site: What the host's servers share.
        cores: Processors of the host.
        elapsed: Seconds since the search began.
        budget: Seconds it may take, the last measurements included.
        tries: How many settings are tried at most, 0 for as many as the time allows.

    Returns:
        A turn, as `_tournament.turns` gives them, with the `server` to run and the `description` of the candidate;
        None when all is measured.
    """
    turn = _chosen(document, server, site, cores=cores, elapsed=elapsed, budget=budget, tries=tries)
    return turn and {**turn, "steps": steps(document["profile"], turn["repetitions"])}


def _chosen(  # noqa: PLR0913  as above
    document: Mapping[str, t.Any],
    server: Mapping[str, t.Any],
    site: Site,
    *,
    cores: int,
    elapsed: float,
    budget: float,
    tries: int = 0,
) -> dict[str, t.Any] | None:
    tried = {candidate["name"]: candidate for candidate in document["candidates"]}
    profile, scores = document["profile"], _scores(document)
    if not tried[OWN]["steps"] and tried[OWN]["status"] == "measured":
        return _turn(OWN, server, [1], 1, {})
    if tried[OWN]["status"] != "measured":
        return None
    best = _best(tried, scores)
    each = elapsed / max(len(tried), 1)
    # The last two are measured for the remaining repetitions, after a start each.
    last = 2 * each * profile["repetitions"]
    if elapsed + each + last < budget and not 0 < tries < len(tried):
        for words in _neighbours(_words_of(tried[best], server), knobs(server, site, cores)):
            name = _name(words, server)
            if name not in tried and not inventory_problems([words], site):
                changed = {word: value for word, value in words.items() if server.get(word) != value}
                described = candidate_of(name, words, site, model_names(server)[0]) | {"changed": changed}
                return _turn(name, words, [1], 1, described)
    rest = list(range(2, max(profile["repetitions"], _REPETITIONS) + 2))
    for name in dict.fromkeys((OWN, best)):
        if best != OWN and tried[name]["status"] == "measured" and _starts(tried[name]) < _STARTS:
            return _turn(name, _words_of(tried[name], server), rest, 2, {})
    return None


def leave_out_tries(document: dict[str, t.Any]) -> None:
    """Mark what was measured once, on the way: a single try that was lucky must not win."""
    for candidate in document["candidates"]:
        if _starts(candidate) >= _STARTS:
            # What made it the best try does not count for it again, nor for the one it is compared with.
            candidate["steps"] = [step for step in candidate["steps"] if step["start"] >= _STARTS]
        elif candidate["status"] == "measured" and candidate["name"] != OWN:
            candidate["status"] = "tried"


def _starts(candidate: Mapping[str, t.Any]) -> int:
    return len({step["start"] for step in candidate["steps"]})


def _turn(
    name: str, words: Mapping[str, t.Any], repetitions: list[int], start: int, description: dict[str, t.Any]
) -> dict[str, t.Any]:
    return {
        "candidate": name,
        "start": start,
        "repetitions": repetitions,
        "stop": True,
        "server": dict(words),
        "description": description,
    }


def _scores(document: Mapping[str, t.Any]) -> dict[str, float]:
    metric = deciding_metric(document)
    scores = {}
    for entry in summarise(document):
        level = best_level(entry["levels"], metric)
        rate = rate_of(level, metric) if level else None
        scores[entry["name"]] = rate["value"] if rate else 0.0
    return scores


def _best(tried: Mapping[str, t.Any], scores: Mapping[str, float]) -> str:
    best = OWN
    for name, candidate in tried.items():
        if candidate["status"] == "measured" and scores.get(name, 0.0) > scores[best] * _BETTER:
            best = name
    return best


def _words_of(candidate: Mapping[str, t.Any], server: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {**server, **candidate["changed"]}


def _neighbours(words: Mapping[str, t.Any], turnable: Sequence[Knob]) -> Iterator[dict[str, t.Any]]:
    """Give words with one option a step further up, then a step further down, the most important option first."""
    for knob in turnable:
        for value in _around(knob.read(words), knob.values):
            yield knob.turned(words, value)


def _around(value: t.Any, values: Sequence[t.Any]) -> list[t.Any]:
    """Give the values beside one: the next above, the next below; where the engine chooses by itself, all of them."""
    if value is None or not all(isinstance(one, int | float) for one in (value, *values)):
        return [one for one in values if one != value]
    above = [one for one in values if one > value]
    below = [one for one in values if one < value]
    return [*above[:1], *below[-1:]]


def _name(words: Mapping[str, t.Any], server: Mapping[str, t.Any]) -> str:
    said = []
    for word, value in sorted(words.items()):
        if word == "options":
            own = server.get("options") or {}
            said += [f"{option}={one}" for option, one in sorted(value.items()) if own.get(option) != one]
        elif server.get(word) != value:
            said.append(f"{word}={value}")
    return ", ".join(said) or OWN
