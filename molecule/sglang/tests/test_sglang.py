# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from testinfra.host import Host

BUSY = """
before=$(awk '{print $14 + $15}' /proc/$(pgrep -f sglang::scheduler)/stat); sleep 3
after=$(awk '{print $14 + $15}' /proc/$(pgrep -f sglang::scheduler)/stat); echo $((after - before))
"""


def test_it_leaves_the_cpu_alone_when_nobody_asks(host: Host) -> None:
    # Ticks of a hundredth second, out of 300: without sleep-on-idle it is nearly all of them.
    assert int(host.check_output(BUSY)) < 100
