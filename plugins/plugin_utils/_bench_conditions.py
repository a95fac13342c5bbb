# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Write down everything that is needed to repeat a benchmark."""

from __future__ import annotations

import shlex
import typing as t

import yaml

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import label, number, one_line
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_html import Html, element
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_table import size_text

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Document = Mapping[str, t.Any]

# Texts of fixed prompts are many lines; their number says what they are.
_LONG: t.Final = 300


def conditions(document: Document) -> Iterator[Html]:
    """Write the conditions of a benchmark, folded.

    Args:
        document: A document of a benchmark.

    Returns:
        One section.
    """
    yield element(
        "section",
        element("h2", "Conditions"),
        element("details", element("summary", "Host, load and tools"), *_general(document)),
        *(
            element("details", element("summary", label(candidate, document)), *_candidate(candidate))
            for candidate in document["candidates"]
        ),
    )


def _facts(facts: Mapping[str, t.Any]) -> Html:
    return element(
        "dl",
        *(
            part
            for name, value in facts.items()
            if value not in (None, "", [], {})
            for part in (element("dt", name), element("dd", _said(value)))
        ),
    )


def _said(value: t.Any) -> str:
    if isinstance(value, dict):
        text = ", ".join(f"{name} {_said(item)}" for name, item in value.items() if item not in (None, "", [], {}))
    elif isinstance(value, list):
        text = ", ".join(_said(item) for item in value)
    else:
        text = one_line(value)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def _general(document: Document) -> Iterator[Html]:
    host, profile = document["host"], document["profile"]
    work = dict(profile.get("work") or {})
    if prompts := work.pop("prompts", None):
        work["prompts"] = f"{len(prompts)} fixed, {len(set(prompts))} of them different: {_said(prompts[0])}"
    yield element("h3", "Host")
    yield _facts(
        {name: host.get(name) for name in ("name", "os", "kernel", "docker", "cpu")}
        | {"memory": size_text(host["memory"]) if host.get("memory") else None}
        | {
            f"GPU {place}": gpu | ({"memory": size_text(gpu["memory"])} if gpu.get("memory") else {})
            for place, gpu in enumerate(host.get("gpus") or [])
        }
        | {"driver": host.get("driver")}
    )
    yield element("h3", "Load")
    yield _facts({name: value for name, value in profile.items() if name != "work"} | work)
    yield _facts(
        {"seed": document["seed"], "began": document["began"], "took": f"{number(document.get('seconds') or 0)} s"}
    )
    yield element("h3", "Tools")
    yield _facts(document["tools"])


def _candidate(candidate: Mapping[str, t.Any]) -> Iterator[Html]:
    model = candidate.get("model") or {}
    loads = [f"{number((load.get('start') or 0) + (load.get('wait') or 0))} s" for load in candidate.get("loads") or []]
    yield _facts(
        {
            "image": candidate.get("image"),
            "model": f"{model.get('repo') or ''} {model.get('revision') or ''}".strip(),
            "format": model.get("format"),
            "loads": loads,
            "memory": {name: size_text(size) for name, size in (candidate.get("memory") or {}).items() if size},
            "power": {name: f"{number(watts)} W" for name, watts in (candidate.get("power_w") or {}).items()},
            "client": _client(candidate),
        }
    )
    if argv := candidate.get("argv"):
        yield element("h3", "Command line")
        yield element("pre", shlex.join(str(word) for word in argv), tabindex=0)
    if words := candidate.get("words"):
        yield element("h3", "Words of the inventory")
        yield element("pre", yaml.safe_dump(words, allow_unicode=True, sort_keys=False), tabindex=0)


def _client(candidate: Mapping[str, t.Any]) -> str:
    given = [step["client"] for step in candidate.get("steps") or [] if step.get("client")]
    if not given:
        return ""
    share = max(client.get("cpu_share") or 0 for client in given)
    late = max(client.get("late_p99_ms") or 0 for client in given)
    return f"at most {share * 100:.0f} % of a core, at most {number(late)} ms late (p99)"
