# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a bundle is made, and what nobody need say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from llmops_serving.bundle.progress import Bars

PLATFORM = "linux/amd64"
# Every platform of an image.
ALL = "all"
PORT = 8443
LISTEN = f"127.0.0.1:{PORT}"


@dataclass(frozen=True)
class Settings:
    """How a bundle is made.

    Attributes:
        folder: The bundle.
        bars: Shows how far the work has come.
        platforms: What images are for, such as `linux/amd64` or `linux/arm64/v8`; `all` for every one that there is.
        ca_path: A file of all authorities to trust, None for those of the system.
        verify: Hash what is there, and fetch damaged files again.
        prune: Remove what no longer belongs to the bundle.
    """

    folder: Path
    bars: Bars
    platforms: tuple[str, ...] = (PLATFORM,)
    ca_path: str | None = None
    verify: bool = False
    prune: bool = False
