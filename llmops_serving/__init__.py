# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python driver of the collection llmops.serving.

>>> from llmops_serving import Site
>>> result = Site("inventories/lab").apply()
>>> [(server.name, server.url, [probe.sample for probe in server.probes]) for server in result.servers]
"""

from __future__ import annotations

from llmops_serving.errors import DriverError, Interrupted, UsageError
from llmops_serving.models_result import ModelStore, ModelVersion
from llmops_serving.results import Check, Fit, HostResult, Model, Probe, RunResult, Server, Step
from llmops_serving.site import Site

__all__ = [
    "Check",
    "DriverError",
    "Fit",
    "HostResult",
    "Interrupted",
    "Model",
    "ModelStore",
    "ModelVersion",
    "Probe",
    "RunResult",
    "Server",
    "Site",
    "Step",
    "UsageError",
]
