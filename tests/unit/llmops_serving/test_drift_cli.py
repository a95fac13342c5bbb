# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command lines of `llmops drift` and `llmops lock`."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from llmops_serving.cli import build_parser
from llmops_serving.drift_cli import lock_variables, run_drift

# By command line: what is called, and with what.
CALLS = {
    ("drift",): ("drift", {"every_byte": False, "diff": False}),
    ("drift", "--bytes", "--diff"): ("drift", {"every_byte": True, "diff": True}),
    ("lock",): ("lock", {"check": False, "diff": False}),
    ("lock", "--check", "--diff"): ("lock", {"check": True, "diff": True}),
}


@pytest.mark.parametrize("words", CALLS)
def test_commands_call_the_site(words: tuple[str, ...]) -> None:
    name, asked = CALLS[words]
    site: Any = mock.Mock()
    run_drift(site, build_parser().parse_args([*words, "-i", "inventory"]), mock.sentinel.progress)
    getattr(site, name).assert_called_once_with(**asked, progress=mock.sentinel.progress)


@pytest.mark.parametrize("command", ["plan", "apply", "drift"])
@pytest.mark.parametrize(("words", "variables"), [([], {}), (["--no-lock"], {"serving_lock_file": ""})])
def test_a_lock_file_can_be_left_out_of_account(command: str, words: list[str], variables: dict[str, str]) -> None:
    assert lock_variables(build_parser().parse_args([command, "-i", "inventory", *words])) == variables
