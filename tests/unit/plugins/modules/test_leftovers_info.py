# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as a whole, on a played host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.modules import leftovers_info
from tests.unit.plugins.played_host import run_main
from tests.unit.plugins.purged_host import PurgedHost, purged_host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PurgedHost:
    made = purged_host(tmp_path / "host", monkeypatch)
    made.serve("chat")
    return made


def test_leftovers_are_told_and_fail_where_none_may_be(host: PurgedHost, capsys: pytest.CaptureFixture[str]) -> None:
    status, result, _text = run_main(leftovers_info, capsys, path=str(host.models.root))
    assert (status, result["changed"]) == (0, False)
    assert set(yaml.safe_load(leftovers_info.RETURN)) == set(result) - {"changed", "invocation"}
    assert "container llmops-chat" in [trace["line"] for trace in result["left"]]
    status, failed, _text = run_main(leftovers_info, capsys, path=str(host.models.root), demand=True)
    assert (status, failed["problems"], failed["left"]) == (1, result["problems"], result["left"])
    status, _result, _text = run_main(
        leftovers_info, capsys, path=str(host.models.root), demand=True, servers=["other"]
    )
    assert status == 0


def test_the_documentation_says_of_every_option_what_the_code_does() -> None:
    said = yaml.safe_load(leftovers_info.DOCUMENTATION)["options"]
    done = leftovers_info.ARGUMENTS
    assert {name: (option["type"], option.get("default")) for name, option in said.items()} == {
        name: (option["type"], option.get("default")) for name, option in done.items()
    }
    for example in yaml.safe_load(leftovers_info.EXAMPLES):
        assert set(example["llmops.serving.leftovers_info"]) <= set(done)
