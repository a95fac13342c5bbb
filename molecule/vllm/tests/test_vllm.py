# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host


def test_each_request_has_the_context_length(host: Host) -> None:
    key = host.file("/var/lib/llmops/servers/vllm/current/client-key").content_string
    answer = host.check_output(f"curl -sS -H 'Authorization: Bearer {key}' http://127.0.0.1:8000/v1/models")
    assert [model["max_model_len"] for model in json.loads(answer)["data"]] == [512]


def test_a_route_answers_without_the_key(host: Host) -> None:
    # Why a public bind is refused. When vLLM guards it one day, the definition must say so.
    body = '{"prompt": "a"}'
    command = f"curl -sS -H 'Content-Type: application/json' -d '{body}' http://127.0.0.1:8000/tokenize"
    assert "tokens" in json.loads(host.check_output(command))
