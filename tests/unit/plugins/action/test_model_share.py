# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller adds to an offer, and what it lets nobody see."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest

from ansible_collections.llmops.serving.plugins.action.model_share import ActionModule

STARTED = {"changed": True, "manifests": {"x": {"key": "k"}}, "port": 4711, "process": {"pid": 7, "began": 9},
           "invocation": {"module_args": {"key": "hidden"}}}  # fmt: skip


def run(
    answer: dict[str, t.Any], check_mode: bool = False, delegate_to: str | None = None, **words: t.Any
) -> tuple[dict[str, t.Any], list[dict[str, t.Any]]]:
    """Give the action's result, and what the module was told."""
    task = mock.Mock(args=words, async_val=0, check_mode=check_mode, delegate_to=delegate_to)
    action = ActionModule(task, mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock())
    told: list[dict[str, t.Any]] = []

    def module(module_name: str, module_args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        assert (module_name, task_vars["inventory_hostname"]) == ("llmops.serving.model_share", "web1")
        told.append(module_args)
        return {**answer, "process": dict(answer.get("process", {}))}

    with mock.patch.object(action, "_execute_module", module):
        return action.run(task_vars={"inventory_hostname": "web1"}), told


def test_the_result_is_a_peer_and_is_never_shown() -> None:
    result, (words,) = run(STARTED, addresses=["10.0.0.11", "fd00::11", "web1"], versions={"x": "k"})
    assert result["_ansible_no_log"] is True
    peer = result["peer"]
    assert peer["urls"] == ["https://10.0.0.11:4711", "https://[fd00::11]:4711", "https://web1:4711"]
    assert (peer["name"], peer["manifests"]) == ("web1", STARTED["manifests"])
    assert (peer["token"], peer["certificate"]) == (words["token"], words["certificate"])
    assert len(peer["token"]) > 40
    assert "PRIVATE KEY" in words["key"]
    assert words["key"] not in str(result)
    assert "invocation" not in result


def test_what_is_needed_to_stop_it_holds_no_secret() -> None:
    result, _told = run(STARTED, delegate_to="web2", addresses=["10.0.0.12"])
    assert result["process"] == {"host": "web2", "pid": 7, "began": 9}
    assert result["peer"]["name"] == "web2"


def test_each_run_has_its_own_secrets() -> None:
    one, other = (run(STARTED, addresses=["10.0.0.11"])[0]["peer"] for _time in range(2))
    assert one["token"] != other["token"]
    assert one["certificate"] != other["certificate"]


def test_nobody_else_chooses_the_secrets() -> None:
    _result, (words,) = run(STARTED, addresses=["10.0.0.11"], token="chosen", key="chosen", certificate="chosen")  # noqa: S106
    assert "chosen" not in words.values()


@pytest.mark.parametrize(
    ("answer", "words", "cause"),
    [
        (
            {"failed": True, "msg": "models_share_port: taken"},
            {"addresses": ["10.0.0.11"]},
            "nothing is offered to the others: models_share_port: taken",
        ),
        ({}, {"addresses": []}, "nothing is offered to the others: addresses: empty, so nobody could find it; "),
    ],
)
def test_what_prevents_it_is_a_warning(answer: dict[str, t.Any], words: dict[str, t.Any], cause: str) -> None:
    result, _told = run(answer, **words)
    assert not result.get("failed")
    assert "peer" not in result
    assert result["warnings"][0].startswith(cause)


def test_nothing_to_offer_is_no_secret() -> None:
    result, _told = run({"changed": False, "manifests": {}, "port": 0}, addresses=["10.0.0.11"])
    assert not {"peer", "_ansible_no_log"} & set(result)


@pytest.mark.parametrize(("words", "check_mode"), [({"state": "stopped", "process": {"pid": 7, "began": 9}}, False),
                                                   ({"addresses": ["10.0.0.11"]}, True)])  # fmt: skip
def test_without_a_start_no_secret_is_made(words: dict[str, t.Any], check_mode: bool) -> None:
    _result, told = run({"changed": True}, check_mode, **words)
    assert told == [words]
