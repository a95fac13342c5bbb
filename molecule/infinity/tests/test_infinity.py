# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host


def test_every_model_has_its_capability(host: Host) -> None:
    answer = json.loads(host.check_output("curl -sS http://127.0.0.1:8005/v1/models"))
    found = {model["id"]: model["capabilities"] for model in answer["data"]}
    assert found == {"minilm": ["embed"], "tiny-rerank": ["rerank"], "tiny-classify": ["classify"]}


def test_it_runs_on_torch_without_code_from_repositories(host: Host) -> None:
    command = host.check_output("docker inspect --format '{{json .Config.Cmd}}' llmops-embed")
    assert "--no-trust-remote-code" in json.loads(command)
    answer = json.loads(host.check_output("curl -sS http://127.0.0.1:8005/v1/models"))
    assert {model["backend"] for model in answer["data"]} == {"torch"}
