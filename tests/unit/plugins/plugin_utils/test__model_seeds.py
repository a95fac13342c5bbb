# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who fetches and who gives, over tables of hosts."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._model_seeds import model_seeds

NOTHING: dict[str, Any] = {"fetch": {}, "share": {}, "start": {}}


def host(name: str, has: str = "", lacks: str = "", reachable: bool = True) -> dict[str, Any]:
    """Give what a host says; models are single letters, and a capital one is another version of the same name."""
    models = {
        letter.lower(): {"key": f"key-{letter}", "content": f"content-{letter}", "complete": letter in has}
        for letter in has + lacks
    }
    addresses = [f"10.0.0.{name}"]
    return {
        "models": models,
        "addresses": addresses if reachable else [],
        "clients": addresses,
        "store": f"/store{name}",
    }


def choose(hosts: dict[str, dict[str, Any]], earlier: tuple[str, ...] = ()) -> dict[str, Any]:
    told = model_seeds(hosts, [name for name in hosts if name not in earlier], earlier)
    shared = {name: "".join(sorted(given["versions"])) for name, given in told["share"].items()}
    return {"fetch": {name: "".join(sorted(all_)) for name, all_ in told["fetch"].items()}, "share": shared,
            "start": told["start"]}  # fmt: skip


@pytest.mark.parametrize(
    ("hosts", "fetch", "share"),
    [
        ({"1": host("1", lacks="a")}, {}, {}),
        ({"1": host("1", has="a"), "2": host("2", has="a")}, {}, {}),
        # One fetches, the other gets it.
        ({"1": host("1", lacks="a"), "2": host("2", lacks="a")}, {"1": "a"}, {"1": "a"}),
        # Two models: each fetches one.
        ({"1": host("1", lacks="ab"), "2": host("2", lacks="ab")}, {"1": "a", "2": "b"}, {"1": "a", "2": "b"}),
        # Somebody has it: nobody fetches, even for a single host.
        ({"1": host("1", lacks="a"), "2": host("2", has="a")}, {}, {"2": "a"}),
        # Each has its own models: nobody can help.
        ({"1": host("1", lacks="a"), "2": host("2", lacks="b")}, {}, {}),
        # The same name, of another revision, is another model.
        ({"1": host("1", lacks="a"), "2": host("2", has="A")}, {}, {}),
        ({"1": host("1", lacks="a"), "2": host("2", lacks="A")}, {}, {}),
        # What one alone lacks it fetches itself, and gives what others lack as well.
        ({"1": host("1", lacks="ab"), "2": host("2", lacks="a")}, {"1": "a"}, {"1": "a"}),
        # Those who have a model share the work.
        (
            {"1": host("1", has="ab"), "2": host("2", has="ab"), "3": host("3", lacks="ab")},
            {},
            {"1": "a", "2": "b"},
        ),
        # A host that nobody reaches gives nothing, but gets.
        ({"1": host("1", has="a", reachable=False), "2": host("2", lacks="a")}, {}, {}),
        (
            {"1": host("1", lacks="a", reachable=False), "2": host("2", lacks="a"), "3": host("3", lacks="a")},
            {"2": "a"},
            {"2": "a"},
        ),
        # Hosts that said nothing: skipped, failed, unreachable.
        ({"1": {"skipped": True}, "2": host("2", lacks="a"), "3": {}}, {}, {}),
        (
            {"1": {"failed": True, "msg": "no"}, "2": host("2", lacks="a"), "3": host("3", lacks="a")},
            {"2": "a"},
            {"2": "a"},
        ),
        ({}, {}, {}),
    ],
)
def test_who_fetches_and_who_gives(
    hosts: dict[str, dict[str, Any]], fetch: dict[str, str], share: dict[str, str]
) -> None:
    found = choose(hosts)
    assert (found["fetch"], found["share"]) == (fetch, share)
    assert found["start"] == {name: [name] for name in share}


def test_the_fetches_of_many_are_spread() -> None:
    hosts = {str(number): host(str(number), lacks="abcdefgh") for number in range(1, 5)}
    assert sorted(len(models) for models in choose(hosts)["fetch"].values()) == [2, 2, 2, 2]


def test_it_chooses_the_same_whoever_asks() -> None:
    hosts = {str(number): host(str(number), lacks="abcdefgh") for number in range(1, 8)}
    assert choose(hosts) == choose(dict(hosts))


@pytest.mark.parametrize(
    ("hosts", "earlier", "share", "start"),
    [
        # `serial: 1`: those who came before give.
        ({"1": host("1", lacks="a"), "2": host("2", lacks="a")}, ("1",), {"1": "a"}, {"2": ["1"]}),
        # Two who came before are set going by two who come now.
        (
            {"1": host("1", has="a"), "2": host("2", has="b"), "3": host("3", lacks="ab"), "4": host("4", lacks="ab")},
            ("1", "2"),
            {"1": "a", "2": "b"},
            {"3": ["1"], "4": ["2"]},
        ),
        (
            {"1": host("1", has="a"), "2": host("2", has="b"), "3": host("3", lacks="ab")},
            ("1", "2"),
            {"1": "a", "2": "b"},
            {"3": ["1", "2"]},
        ),
        ({"1": host("1", has="a"), "2": host("2", has="a")}, ("1",), {}, {}),
    ],
)
def test_an_earlier_batch_gives(
    hosts: dict[str, dict[str, Any]], earlier: tuple[str, ...], share: dict[str, str], start: dict[str, list[str]]
) -> None:
    assert choose(hosts, earlier) == {"fetch": {}, "share": share, "start": start}


def test_what_the_others_must_know() -> None:
    hosts = {"1": host("1", has="a"), "2": host("2", lacks="a"), "3": host("3", has="a"), "4": {}}
    found = model_seeds(hosts, ["2", "3", "4"], ["1"])
    assert found["share"] == {"1": {"versions": {"a": "key-a"}, "addresses": ["10.0.0.1"], "path": "/store1"}}
    assert found["clients"] == ["10.0.0.2", "10.0.0.3"]
    assert model_seeds({}, [], []) == {**NOTHING, "clients": []}
