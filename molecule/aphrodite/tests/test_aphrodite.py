# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host


def test_a_route_answers_without_the_key(host: Host) -> None:
    # Kobold's, and why a public bind is refused. When Aphrodite guards it one day, the definition must say so.
    assert json.loads(host.check_output("curl -sS http://127.0.0.1:8004/api/v1/model"))["result"]
