# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two servers with four models, closed and answering."""

from __future__ import annotations

import json
import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host

SERVERS = ["chat", "embed"]


def key(host: Host) -> str:
    return str(host.file("/var/lib/llmops/servers/chat/current/client-key").content_string)


def ask(host: Host, url: str, body: dict[str, t.Any], bearer: str = "") -> t.Any:
    head = f"-H 'Authorization: Bearer {bearer}'" if bearer else ""
    command = f"curl -sS -m 60 {head} -H 'Content-Type: application/json' -d '{json.dumps(body)}' {url}"
    return json.loads(host.check_output(command))


@pytest.mark.parametrize("name", SERVERS)
def test_the_unit_runs_now_and_after_a_boot(host: Host, name: str) -> None:
    unit = host.service(f"llmops-{name}.service")
    assert unit.is_running
    assert unit.is_enabled


@pytest.mark.parametrize("name", SERVERS)
def test_the_unit_pins_the_image_by_digest(host: Host, name: str) -> None:
    assert "@sha256:" in host.file(f"/etc/systemd/system/llmops-{name}.service").content_string


def test_chat_answers_a_question(host: Host) -> None:
    body = {"model": "tiny-chat", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
    answer = ask(host, "http://127.0.0.1:8001/v1/chat/completions", body | {"temperature": 0}, key(host))
    assert "Paris" in answer["choices"][0]["message"]["content"]


def test_embeddings_have_their_dimension(host: Host) -> None:
    answer = ask(host, "http://127.0.0.1:8005/v1/embeddings", {"model": "minilm", "input": ["a cat"]})
    assert len(answer["data"][0]["embedding"]) == 384


def test_the_relevant_document_comes_first(host: Host) -> None:
    documents = ["Bananas are rich in potassium.", "Paris is the capital and largest city of France."]
    body = {"model": "tiny-rerank", "query": "What is the capital of France?", "documents": documents}
    assert ask(host, "http://127.0.0.1:8005/v1/rerank", body)["results"][0]["index"] == 1


def test_sentences_get_their_label(host: Host) -> None:
    body = {"model": "tiny-classify", "input": ["I love this, it is wonderful!"]}
    labels = ask(host, "http://127.0.0.1:8005/v1/classify", body)["data"][0]
    assert max(labels, key=lambda label: label["score"])["label"] == "positive"
