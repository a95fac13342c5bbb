# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host

STORE = "/var/lib/llmops/models"
SSH = 22


@pytest.mark.parametrize("name", ["minilm-gguf", "tiny-chat-safetensors"])
def test_every_file_is_what_its_manifest_says(host: Host, name: str) -> None:
    manifest = host.check_output(f"ls {STORE}/{name}/*.json | grep -v marks")
    record = json.loads(host.file(manifest).content_string)
    assert record["files"]
    for entry in record["files"]:
        path = f"{manifest.removesuffix('.json')}/{entry['path']}"
        assert host.file(path).size == entry["size"]
        assert host.file(path).sha256sum == entry["sha256"]


def test_the_source_is_the_hub_whoever_gave_it(host: Host) -> None:
    manifest = host.check_output(f"ls {STORE}/minilm-gguf/*.json | grep -v marks")
    assert json.loads(host.file(manifest).content_string)["source"] == "https://hub.lab/lab/minilm-gguf"


def test_nothing_listens_any_more(host: Host) -> None:
    # The local address and the state are the second and the fourth word, proc_pid_net_tcp(5); 0A is listening.
    rows = [row.split() for row in host.check_output("cat /proc/net/tcp /proc/net/tcp6").splitlines()]
    open_ports = {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == "0A"}
    # What listens at a loopback address (Docker's own resolver) reaches nobody.
    inside = {int(row[1].rpartition(":")[2], 16) for row in rows if row[1].startswith(("0B00007F", "0100007F"))}
    assert open_ports - inside == {SSH}


def test_no_process_is_left(host: Host) -> None:
    assert "llmops-share" not in host.check_output("cat /proc/[0-9]*/comm")


def test_no_secret_is_left(host: Host) -> None:
    found = host.run("grep -rl -e 'PRIVATE KEY' -e Bearer /run /tmp /var/tmp /root/.ansible /var/lib/llmops")
    assert found.stdout == ""
