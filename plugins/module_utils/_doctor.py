# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Name the cause of an engine's failure out of its log, by the rules of its definition."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._memory import memory_words

# Lines that only say that something else failed, or where.
_GENERIC = re.compile(
    r"exiting due to|See root cause above|Main process exited|Failed with result|Scheduled restart job"
    r"|Deactivated successfully|Stopped llmops|Started llmops|Starting llmops|Consumed .* CPU time"
    r"|see stack trace|stack trace above|EngineDeadError|Traceback \(most recent|File \"/|\braise \w+"
    r"|Received sigquit from a child process",
    re.IGNORECASE,
)
_SPEAKING = re.compile(
    r"error|fatal|exception|cannot|can't|could not|couldn't|failed|invalid|denied|no such", re.IGNORECASE
)


class Diagnosis(t.NamedTuple):
    """Why an engine failed, and what to change."""

    cause: str
    remedy: str


def diagnose(lines: list[str], rules: list[dict[str, t.Any]]) -> Diagnosis:
    """Match an engine's log against its rules.

    Args:
        lines: The log, oldest line first.
        rules: Most specific first: `pattern` (a regular expression with named groups), `cause` and `remedy`, in which
            `{group}` stands for what the group found.

    Returns:
        The first rule that fits any line; otherwise the last line that speaks of an error.
    """
    if found := matched(lines, rules):
        return found
    words = last_words(lines)
    if words:
        return Diagnosis(words, "see the log lines, and options and model of the server")
    return Diagnosis("the engine left no log", "read journalctl -u of the server's unit on the host")


def matched(lines: list[str], rules: list[dict[str, t.Any]]) -> Diagnosis | None:
    """Find the first rule that fits any line of a log; None if none does.

    Args:
        lines: The log, oldest line first.
        rules: As for `diagnose`. One with `measure` may speak of `{free_gib}`, `{total_gib}` and `{fits}` too: of the
            host's memory as it is now, when the engine has let go of it.
    """
    for rule in rules:
        for line in lines:
            match = re.search(rule["pattern"], line)
            if match:
                found = {name: value or "" for name, value in match.groupdict().items()}
                if "measure" in rule:
                    found.update(memory_words(**rule["measure"]))
                return Diagnosis(_fill(rule["cause"], found), _fill(rule["remedy"], found))
    return None


def last_words(lines: list[str]) -> str:
    """Give the last line of a log that speaks of an error, else the last one that says anything, else nothing."""
    own = [line.strip() for line in lines if line.strip() and not _GENERIC.search(line)]
    speaking = [line for line in own if _SPEAKING.search(line)]
    return (speaking or own or [""])[-1][:300]


def _fill(text: str, found: dict[str, str]) -> str:
    # Not str.format: remedies show YAML with braces of its own.
    for name, value in found.items():
        text = text.replace(f"{{{name}}}", value)
    return text
