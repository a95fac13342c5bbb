# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Ask a server whether it still answers: its metrics, and when it has nothing to do the smallest real question."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._gate import server_url
from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint, HttpError, request_text
from ansible_collections.llmops.serving.plugins.module_utils._probe import engine_routes, first_answer, own_routes
from ansible_collections.llmops.serving.plugins.module_utils._watch_metrics import Reading, read_metrics
from ansible_collections.llmops.serving.plugins.module_utils._watch_processes import computes

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._watch_notes import Notes

#: Seconds from one question to the next while the server has nothing else to do.
QUESTION_EVERY_S = 60.0
_METRICS_S = 5.0
_ANSWER_S = 15.0
_BROKEN = 500
# It answers that it has too much to do.
_BUSY = (429, 503)
# By the task, what is asked for: one token, or one text. None of it is a route of the API by OpenAI alone.
_QUESTIONS: t.Mapping[str, tuple[tuple[str, dict[str, t.Any]], ...]] = {
    "chat": (("/chat/completions", {"messages": [{"role": "user", "content": "1"}], "max_tokens": 1}),),
    "embedding": (("/embeddings", {"input": ["1"]}),),
    "rerank": (("/rerank", {"query": "1", "documents": ["1"]}), ("/rerank", {"query": "1", "texts": ["1"]})),
    "classify": (("/classify", {"input": ["1"]}), ("/predict", {"inputs": [["1"]]})),
}


class Ask:
    """Asks one server."""

    def __init__(self, name: str, asked: t.Mapping[str, t.Any], key: str | None) -> None:
        """Take its name, what it was asked for, and the key to send."""
        self._container = "llmops-" + name
        self._asked = asked
        self._words: t.Mapping[str, t.Any] = asked["watchdog"]
        self._url = server_url(asked["bind"], asked["port"])
        self._key = key

    def wrong(self, notes: Notes, moment: float) -> str:
        """Look whether a server that was ready is well.

        Args:
            notes: What was seen before; what is seen now is noted.
            moment: The kernel's seconds.

        Returns:
            What is wrong; nothing if it gets on, computes, or answers.
        """
        try:
            reading = self._read()
        except HttpError as exc:
            # Who listens must be busy itself.
            if self._computes(self._words.get("port")):
                return ""
            return f"{exc.seen}, and the process that should answer computes nothing"
        moved = reading.progress != notes.progress
        notes.progress = reading.progress
        if reading.requests:
            if moved or self._computes():
                return ""
            return f"it has {reading.requests:g} requests, gets on with none of them, and computes nothing"
        # A question that was given up moves a counter too, so once there is a doubt only an answer ends it.
        idle = not moved and moment - notes.asked >= QUESTION_EVERY_S
        if not idle and not notes.strikes:
            return ""
        notes.asked = moment
        return self._question(notes)

    def _read(self) -> Reading:
        """Read the metrics.

        Raises:
            HttpError: There was no answer at all.
        """
        path = self._words.get("metrics")
        if not path:
            return Reading(None, {})
        endpoint = Endpoint(self._url, self._key, _METRICS_S)
        try:
            return read_metrics(request_text(endpoint, endpoint.url(path)), self._words)
        except HttpError as exc:
            if exc.status is None:
                raise
            # It has none, say because an option took them away; then questions must do.
            return Reading(None, {})

    def _computes(self, port: int | None = None) -> bool:
        # Where nothing can be seen, the server has the benefit of the doubt: a new start would need Docker too.
        return computes(self._container, port) is not False

    def _question(self, notes: Notes) -> str:
        models = self._asked["models"]
        model = models[notes.turn % len(models)]
        notes.turn += 1
        try:
            self._send(model["task"], model["name"])
        except HttpError as exc:
            if exc.status is not None:
                return "" if exc.status < _BROKEN or exc.status in _BUSY else exc.seen
            return "" if self._got_busy(notes) else f"{exc.seen}, and it has nothing else to do"
        return ""

    def _send(self, task: str, model: str) -> None:
        endpoint = Endpoint(self._url + "/v1", self._key, _ANSWER_S)
        forms = _QUESTIONS[task]
        for number, (path, words) in enumerate(forms, 1):
            ways = own_routes if task in ("chat", "embedding") else engine_routes
            try:
                first_answer(endpoint, "POST", ways(endpoint, path), dict(words, model=model))
                return
            except HttpError as exc:
                # It answers, but not to this form; of the last one any answer will do.
                if exc.status is None or exc.status >= _BROKEN or number == len(forms):
                    raise

    def _got_busy(self, notes: Notes) -> bool:
        """Whether others came in while it was asked, before whom it has to wait."""
        try:
            reading = self._read()
        except HttpError:
            return self._computes(self._words.get("port"))
        moved = reading.progress != notes.progress
        notes.progress = reading.progress
        # One is the question itself, which may count for a moment longer.
        if moved or (reading.requests or 0) > 1:
            return True
        return not self._words.get("spins") and self._computes()
