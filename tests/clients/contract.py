# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What clients of the course get from every engine: the `openai` package, `requests` and plain curl.

The routes of `openai` are below `/v1` on every engine; `/rerank` and `/classify` it does not know.
"""

from __future__ import annotations

import json
import math
import subprocess
import typing as t
from dataclasses import dataclass

import openai
import requests

QUESTION = "What is the capital of France?"
TIMEOUT_S = 120
DOCUMENTS = ["Bananas are rich in potassium.", "Paris is the capital and largest city of France."]
TEXTS = {"I love this, it is wonderful!": "positive", "This is terrible, I hate it.": "negative"}
# A sentence, one that means nearly the same, and one about something else.
NEAR_AND_FAR = ["A cat sits on the mat.", "A kitten is resting on a rug.", "The stock market fell sharply today."]


@dataclass(frozen=True)
class Asked:
    """Where to ask, and for what.

    Attributes:
        root: Address of the server without a path.
        key: Key to send.
        model: Served name of the model.
    """

    root: str
    key: str
    model: str

    @property
    def client(self) -> openai.OpenAI:
        """The client as the course makes it."""
        return openai.OpenAI(api_key=self.key, base_url=f"{self.root}/v1", timeout=TIMEOUT_S, max_retries=0)

    def post(self, path: str, body: dict[str, t.Any]) -> t.Any:
        """Post JSON as plain `requests` does."""
        answer = requests.post(
            self.root + path,
            json={"model": self.model, **body},
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=TIMEOUT_S,
        )
        answer.raise_for_status()
        return answer.json()


def lists_its_model(asked: Asked) -> None:
    """The list holds the served name, and no path of a container."""
    names = [model.id for model in asked.client.models.list().data]
    assert asked.model in names
    assert not any(name.startswith("/") for name in names)


def chats(asked: Asked) -> None:
    """A conversation with all three roles is answered with sense."""
    answer = asked.client.chat.completions.create(
        model=asked.model,
        messages=[
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Hello!"},
            {"role": "assistant", "content": "Hello! How can I help you?"},
            {"role": "user", "content": QUESTION},
        ],
        temperature=0,
        max_tokens=32,
    )
    assert answer.model == asked.model
    assert answer.choices[0].message.content
    assert answer.usage
    assert answer.usage.completion_tokens > 0


def answers_a_question(asked: Asked) -> None:
    """One question has its answer."""
    answer = asked.client.chat.completions.create(
        model=asked.model, messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=32
    )
    assert "Paris" in (answer.choices[0].message.content or "")


def streams(asked: Asked) -> None:
    """The same answer in pieces."""
    stream = asked.client.chat.completions.create(
        model=asked.model, messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=32, stream=True
    )
    pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 1
    assert "Paris" in "".join(pieces)


def answers_curl(asked: Asked) -> None:
    """Curl, as the course's notes have it."""
    body = {
        "model": asked.model,
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0,
        "max_tokens": 32,
    }
    command = [
        "curl", "-sS", "-m", str(TIMEOUT_S), f"{asked.root}/v1/chat/completions",
        "-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {asked.key}", "-d", json.dumps(body),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert "Paris" in json.loads(done.stdout)["choices"][0]["message"]["content"]


def embeds(asked: Asked) -> None:
    """Vectors of one length, near where the meaning is near."""
    vectors = vectors_of(asked)
    assert len({len(vector) for vector in vectors}) == 1
    assert all(math.isfinite(value) for vector in vectors for value in vector)
    assert cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2]) + 0.2


def vectors_of(asked: Asked) -> list[list[float]]:
    """Give the vectors of three sentences, in order."""
    answer = asked.client.embeddings.create(model=asked.model, input=NEAR_AND_FAR)
    return [entry.embedding for entry in sorted(answer.data, key=lambda entry: entry.index)]


def cosine(left: list[float], right: list[float]) -> float:
    """Cosine of the angle between two vectors, -1 to 1."""
    dot = sum(a * b for a, b in zip(left, right, strict=True))
    return dot / math.hypot(*left) / math.hypot(*right)


def reranks(asked: Asked) -> None:
    """The relevant document comes first."""
    answer = asked.post("/v1/rerank", {"query": QUESTION, "documents": DOCUMENTS})
    places = answer["results"] if isinstance(answer, dict) else answer
    assert places[0]["index"] == 1


def classifies(asked: Asked) -> None:
    """Each sentence gets its label."""
    answer = asked.post("/v1/classify", {"input": list(TEXTS)})
    best = [max(labels, key=lambda label: label["score"])["label"] for labels in answer["data"]]
    assert best == list(TEXTS.values())


#: What is asked of a model, by its task.
CONTRACT: t.Final = {
    "chat": (lists_its_model, answers_a_question, chats, streams, answers_curl),
    "embedding": (lists_its_model, embeds),
    "rerank": (lists_its_model, reranks),
    "classify": (lists_its_model, classifies),
}
