# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab: throw-away hosts, a model hub and an image registry on this machine, with real engines on its CPU."""

from __future__ import annotations

from llmops_serving.lab.errors import LabError
from llmops_serving.lab.lab import Lab, LabStatus
from llmops_serving.lab.progress import Progress
from llmops_serving.lab.state import FileFacts, HostFacts, LabState, RepoFacts

__all__ = ["FileFacts", "HostFacts", "Lab", "LabError", "LabState", "LabStatus", "Progress", "RepoFacts"]
