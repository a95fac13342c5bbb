# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Name the cause of an engine's failure out of what it and its host said, by the rules of its definition.

A rule is data: `name`, `pattern` (a regular expression with named groups), `cause` and `remedy` (in which `{word}`
stands for a value), `source` (where the message comes from), and where wanted `measure` (fills in the memory there is
now), `compute` (values out of values, see `compute`), and `generic` (true for a line that many failures end with, so
that every other rule goes before).
"""

from __future__ import annotations

import math
import re
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._memory import memory_words

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Lines that only say that something else failed, or where.
_GENERIC = re.compile(
    r"exiting due to|See root cause above|Main process exited|Failed with result|Scheduled restart job"
    r"|Deactivated successfully|Stopped llmops|Started llmops|Starting llmops|Consumed .* CPU time"
    r"|see stack trace|stack trace above|EngineDeadError|Traceback \(most recent|File \"/|\braise \w+"
    r"|Received sigquit from a child process|No such container: llmops-|Application startup failed|, ignoring: ",
    re.IGNORECASE,
)
_SPEAKING = re.compile(
    r"error|fatal|exception|cannot|can't|could not|couldn't|failed|invalid|denied|no such", re.IGNORECASE
)
# Lines that the host adds to what the engine said (_evidence.py).
_HOST = re.compile(r"(?:kernel|systemd|dockerd|docker event): ")
_EXIT = re.compile(r"exit code \d+: ")
_LONGEST = 300
_CALL = re.compile(r"(\w+)\(([^()]*)\)")

_ARITY = 2

#: What `compute` of a rule may call: the name, and what it makes of its numbers.
FUNCTIONS: dict[str, Callable[..., float]] = {
    "down": lambda value, step: value // step * step,
    "up": lambda value, step: -(-value // step) * step,
    "plus": lambda one, other: one + other,
    "minus": lambda one, other: one - other,
    "times": lambda one, other: one * other,
    "per": lambda one, other: one / other,
    "least": min,
    "most": max,
}


class Diagnosis(t.NamedTuple):
    """Why an engine failed, and what to change.

    Attributes:
        cause: Why.
        remedy: Which variable to set to which value.
        rule: Name of the rule that fitted, or its pattern where it has none; empty where no rule did.
        source: Where the rule has the message from.
        line: The line that it fitted.
    """

    cause: str
    remedy: str
    rule: str = ""
    source: str = ""
    line: str = ""


def diagnose(lines: Sequence[str], rules: Sequence[Mapping[str, t.Any]]) -> Diagnosis:
    """Match what was said about a failure against rules.

    Args:
        lines: The engine's log, oldest line first, then what its host said (`Evidence.lines`).
        rules: Most specific first.

    Returns:
        The first rule that fits any line; otherwise the last line that speaks of an error.
    """
    if found := matched(lines, rules):
        return found
    words = last_words(lines)
    if words:
        return Diagnosis(words, "see the log lines, and options and model of the server")
    return Diagnosis("the engine left no log", "read journalctl -u of the server's unit on the host")


def matched(lines: Sequence[str], rules: Sequence[Mapping[str, t.Any]]) -> Diagnosis | None:
    """Find the first rule that fits any line of a log; None if none does.

    Args:
        lines: As for `diagnose`.
        rules: As for `diagnose`; those with `generic` come last, wherever they stand. Besides the groups of `pattern`
            they may speak of `{said}`, the last words of the log; with `measure` of `{free_gib}`, `{total_gib}` and
            `{fits}`: of the host's memory as it is now, when the engine has let go of it; and of what they `compute`.
    """
    for rule in in_order(rules):
        for line in lines:
            match = re.search(rule["pattern"], line)
            if match:
                words = _words(rule, match, lines)
                return Diagnosis(
                    _fill(rule["cause"], words),
                    _fill(rule["remedy"], words),
                    rule.get("name") or rule["pattern"],
                    rule.get("source", ""),
                    line.strip()[:_LONGEST],
                )
    return None


def in_order(rules: Sequence[Mapping[str, t.Any]]) -> list[Mapping[str, t.Any]]:
    """Give rules in the order in which they are tried: as they stand, and the generic ones after all others."""
    return sorted(rules, key=lambda rule: bool(rule.get("generic")))


def compute(expression: str, words: Mapping[str, str]) -> str:
    """Work out a value for a remedy.

    Args:
        expression: One call of a function of `FUNCTIONS`, such as `down(fits, 256)`; its arguments are numbers, or
            names of values.
        words: The values by name, as text; commas in their digits do not matter.

    Returns:
        The value: whole, or with two digits and rounded down, for up would not fit. Where it cannot be worked out, the
        text of the first argument, so that the remedy still names a number that was seen.

    Raises:
        ValueError: The expression is no such call, which is a mistake in the rule.
    """
    call = _CALL.fullmatch(expression.strip())
    arguments = [words.get(word, word) for word in re.split(r"\s*,\s*", call.group(2).strip())] if call else []
    if call is None or call.group(1) not in FUNCTIONS or len(arguments) != _ARITY:
        msg = f"{expression} is no call of {', '.join(FUNCTIONS)} with two arguments"
        raise ValueError(msg)
    try:
        value = FUNCTIONS[call.group(1)](*(float(word.replace(",", "")) for word in arguments))
        return f"{value:.0f}" if value == int(value) else f"{math.floor(value * 100) / 100:.2f}"
    except (ValueError, ArithmeticError):
        return arguments[0]


def last_words(lines: Sequence[str]) -> str:
    """Give the last line that speaks of an error, of the engine or else of its host.

    Args:
        lines: As for `diagnose`.

    Returns:
        The line; where none speaks of an error, how the engine ended and the last thing it said; nothing if it said
        nothing and did not end.
    """
    told = [line.strip() for line in lines if line.strip() and not _GENERIC.search(line)]
    own = [line for line in told if not _HOST.match(line) and not _EXIT.match(line)]
    host = [line for line in told if _HOST.match(line)]
    speaking = [line for line in own if _SPEAKING.search(line)] or [line for line in host if _SPEAKING.search(line)]
    if speaking:
        return speaking[-1][:_LONGEST]
    ended = [line for line in told if _EXIT.match(line)][-1:]
    last = (own or [""])[-1]
    if ended and last:
        return f"{ended[0]}; its last words: {last}"[:_LONGEST]
    return (last or (ended or [""])[0])[:_LONGEST]


def _words(rule: Mapping[str, t.Any], match: re.Match[str], lines: Sequence[str]) -> dict[str, str]:
    words = {name: value or "" for name, value in match.groupdict().items()}
    if "measure" in rule:
        words.update(memory_words(**rule["measure"]))
    for name, expression in rule.get("compute", {}).items():
        words[name] = compute(expression, words)
    if "{said}" in rule["cause"] + rule["remedy"]:
        words["said"] = last_words(lines)
    return words


def _fill(text: str, words: Mapping[str, str]) -> str:
    # Not str.format: remedies show YAML with braces of its own.
    for name, value in words.items():
        text = text.replace(f"{{{name}}}", value)
    return text
