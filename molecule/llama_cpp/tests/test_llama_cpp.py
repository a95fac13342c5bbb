# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host


def settings(host: Host) -> t.Any:
    key = host.file("/var/lib/llmops/servers/chat/current/client-key").content_string
    return json.loads(host.check_output(f"curl -sS -H 'Authorization: Bearer {key}' http://127.0.0.1:8001/props"))


def test_each_request_has_the_whole_context_length(host: Host) -> None:
    # 512 asked for, 2 side by side: the engine itself divides what it is given by its slots.
    assert settings(host)["default_generation_settings"]["n_ctx"] == 512
    assert settings(host)["total_slots"] == 2


def test_the_engine_says_the_models_name_and_no_path(host: Host) -> None:
    key = host.file("/var/lib/llmops/servers/chat/current/client-key").content_string
    answer = host.check_output(f"curl -sS -H 'Authorization: Bearer {key}' http://127.0.0.1:8001/v1/models")
    assert [model["id"] for model in json.loads(answer)["data"]] == ["tiny-chat"]
