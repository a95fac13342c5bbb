# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Complete the document of a benchmark with its summary, verdict and recommendation."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import check
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_recommend import recommend
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import summarise
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_verdict import judge

if t.TYPE_CHECKING:
    from collections.abc import Mapping


def complete(document: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Add what follows from the steps of a benchmark.

    Args:
        document: What was measured. It stays as it is.

    Returns:
        A copy in plain values with `summary`, `verdict` and `recommendation`, the same for the same document.

    Raises:
        BenchError: The document is not whole.
    """
    check(document)
    # Values that Ansible tagged are subclasses, which YAML does not write.
    whole: dict[str, t.Any] = json.loads(json.dumps(document))
    summary = summarise(whole)
    verdict = judge(whole, summary)
    return whole | {
        "summary": summary,
        "verdict": verdict,
        "recommendation": recommend(whole, summary, verdict),
    }
