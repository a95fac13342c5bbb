# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the watchdog of a host sees, has against a server, and keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.faults.bench import SERVERS

if TYPE_CHECKING:
    from tests.faults.fault_host import FaultHost

#: As long as three looks by the timer and a stop may take.
NOTICED_S = 240.0


def look(host: FaultHost) -> None:
    """Have the watchdog look once, besides the looks that its timer makes; as often as a test likes."""
    # systemd starts nothing more than five times in ten seconds, unless it forgets that it did.
    host.run("systemctl reset-failed llmops-watchdog.service; systemctl start llmops-watchdog.service")


def strikes(host: FaultHost) -> list[Any]:
    """What the watchdog has against the server at this moment."""
    notes = json.loads(host.run("cat /run/llmops-watchdog/chat.json 2>/dev/null || echo '{}'"))
    return list(notes.get("strikes", []))


def evidence(host: FaultHost) -> list[str]:
    """The files of evidence, newest last."""
    return host.run(f"ls {SERVERS}/chat/evidence 2>/dev/null || true").split()
