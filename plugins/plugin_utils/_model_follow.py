# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Run a module that may take long, and show how far it has come."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
import typing as t
import uuid

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.llmops.serving.plugins.plugin_utils._model_words import final_line, running_line

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    Result = dict[str, t.Any]

_JOB: t.Final = "llmops.serving.model_job"
# Seconds between two lines. Each is a module's run on the host; the end is noticed at once whatever the interval.
INTERVALS: t.Final = (5, 5, 5, 10, 10, 15, 20, 30)
# Seconds between tries where the connection is lost; the work on the host goes on meanwhile.
RETRIES: t.Final = (1, 3, 6, 10, 20)
# A stop that takes longer is given up: whoever pressed Ctrl-C has waited enough.
_STOP_S: t.Final = 15


class Interruption(BaseException):
    """A signal that ends the worker came."""

    def __init__(self, number: int) -> None:
        """Keep the signal's number."""
        super().__init__(number)
        self.number = number


class FollowedAction(ActionBase):
    """An action whose module, given the option `job`, goes on in the background after two seconds.

    A quick task is one execution of its module, as without this. Ctrl-C stops the work on the host; a connection that
    is lost for good does not.
    """

    _supports_check_mode = True
    _supports_async = True
    module: t.ClassVar[str]

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        """Run the action."""
        result: Result = super().run(tmp, task_vars)
        words = dict(self._task.args)
        if self._task.async_val:
            native = self._connection.has_native_async
            return result | self._module(self.module, words, task_vars, wrap_async=not native)
        if self._task.check_mode or not self.may_take_long(words):
            return result | self._module(self.module, words, task_vars)
        return result | self._followed(words | {"job": uuid.uuid4().hex}, task_vars)

    def may_take_long(self, words: dict[str, t.Any]) -> bool:
        """Whether a task with these arguments may do work that is worth following."""
        del words
        return True

    def _followed(self, words: Result, task_vars: dict[str, t.Any] | None) -> Result:
        with signals_raised() as previous:
            try:
                return self._follow(words, task_vars)
            except AnsibleConnectionFailure:
                # Nobody meant the work to end; the next run finds it done, or waits for it.
                raise
            except Interruption as stop:
                # The worker dies by the signal all the same, once the host knows.
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(_STOP_S)
                self._stop(words["job"], task_vars)
                _pass_on(stop.number, previous)
                raise
            except BaseException:
                self._stop(words["job"], task_vars)
                raise

    def _follow(self, words: Result, task_vars: dict[str, t.Any] | None) -> Result:
        began = time.monotonic()
        answer = self._module(self.module, words, task_vars)
        job = answer.get("job")
        if not job:
            return answer
        host = str((task_vars or {}).get("inventory_hostname", ""))
        self._say(running_line(host, job, time.monotonic() - began))
        told: Result = {}
        for wait in itertools.chain(INTERVALS, itertools.repeat(INTERVALS[-1])):
            told = self._ask(words["job"], wait, host, task_vars)
            if told.get("failed") or "result" in told:
                break
            self._say(running_line(host, told["jobs"][0], time.monotonic() - began))
        if told.get("failed"):
            # Its last answer was lost on the way, or the host was started anew: the module knows what is there.
            return self._module(self.module, {name: words[name] for name in words if name != "job"}, task_vars)
        found = _finished(told["result"])
        self._say(final_line(host, told["jobs"][0], failed=bool(found.get("failed"))))
        return found

    def _ask(self, job: str, wait: float, host: str, task_vars: dict[str, t.Any] | None) -> Result:
        for pause in RETRIES:
            try:
                return self._module(_JOB, {"job": job, "wait": wait}, task_vars)
            except AnsibleConnectionFailure:
                self._say(f"  {host} models: connection lost, the fetch goes on there; trying again in {pause} s")
                time.sleep(pause)
        return self._module(_JOB, {"job": job, "wait": wait}, task_vars)

    def _stop(self, job: str, task_vars: dict[str, t.Any] | None) -> None:
        with contextlib.suppress(Exception):
            self._module(_JOB, {"job": job, "state": "stopped"}, task_vars)

    def _module(self, name: str, words: Result, task_vars: dict[str, t.Any] | None, **how: bool) -> Result:
        done: Result = self._execute_module(module_name=name, module_args=words, task_vars=task_vars, **how)
        return done

    def _say(self, line: str) -> None:
        if line and not self._task.no_log:
            Display().display(line)


def _finished(result: Result) -> Result:
    """Make of a job's result what the module would have printed: an empty list warns of nothing, a message fails."""
    failed = {"failed": True} if result.get("msg") else {}
    return {word: value for word, value in result.items() if word != "warnings" or value} | failed


@contextlib.contextmanager
def signals_raised() -> Iterator[dict[int, t.Any]]:
    """Turn the signals that end a worker into `Interruption`; gives what they did before."""
    previous: dict[int, t.Any] = {}
    if threading.current_thread() is not threading.main_thread():
        yield previous
        return

    came: list[int] = []

    def raise_it(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        # A second one follows on the heels of the first, and must not end what the first one began.
        if len(came) == 1:
            raise Interruption(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, raise_it)
    try:
        yield previous
    finally:
        for handled, handler in previous.items():
            signal.signal(handled, handler)


def _pass_on(number: int, previous: dict[int, t.Any]) -> None:
    for handled, handler in previous.items():
        signal.signal(handled, handler)
    os.kill(os.getpid(), number)
