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


@pytest.mark.parametrize("name", SERVERS)
def test_the_container_is_closed(host: Host, name: str) -> None:
    config = json.loads(host.check_output(f"docker inspect llmops-{name}"))[0]
    inside = config["HostConfig"]
    assert inside["ReadonlyRootfs"]
    assert inside["CapDrop"] == ["ALL"]
    assert not inside["Privileged"]
    assert "no-new-privileges" in inside["SecurityOpt"]
    assert config["Config"]["User"] == "65532:65532"
    assert not any(mount["RW"] for mount in config["Mounts"] if mount["Type"] == "bind")


def test_chat_answers_a_question(host: Host) -> None:
    body = {"model": "tiny-chat", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
    answer = ask(host, "http://127.0.0.1:8001/v1/chat/completions", body | {"temperature": 0}, key(host))
    assert "Paris" in answer["choices"][0]["message"]["content"]


def test_chat_wants_its_key(host: Host) -> None:
    assert "Invalid API Key" in host.check_output("curl -sS http://127.0.0.1:8001/v1/models")


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


def test_only_the_server_with_a_key_is_public(host: Host) -> None:
    assert host.socket("tcp://0.0.0.0:8001").is_listening
    assert host.socket("tcp://127.0.0.1:8005").is_listening
    assert not host.socket("tcp://0.0.0.0:8005").is_listening


PLACES = [
    "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
    "docker inspect llmops-chat",
    "journalctl --no-pager",
    "cat /etc/systemd/system/llmops-*.service",
    "cat /var/lib/llmops/servers/*/*/server.json",
]


@pytest.mark.parametrize("place", PLACES)
def test_the_key_is_nowhere_to_be_seen(host: Host, place: str) -> None:
    assert len(key(host)) > 10
    assert key(host) not in host.check_output(place)


def test_the_key_lies_in_files_of_their_owner_alone(host: Host) -> None:
    found = host.check_output(f"grep -rlF '{key(host)}' /etc /var/lib/llmops /root /tmp /run/systemd").splitlines()
    assert found
    for path in found:
        assert host.file(path).mode == 0o600, path
