# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key is planted, and searched for in everything that a host and its controller hold or say about it.

It goes both ways that engines take keys: a file (llama.cpp), and an environment variable that a shell in the container
reads from a file (infinity).
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.planted import new_key, search_host, search_text, texts_below
from tests.faults.bench import SERVERS, model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.bench import Bench
    from tests.faults.runs import Told

AGENT = "python3 -E -s /usr/local/lib/llmops/agent watch"
ENGINE = "^/app/llama-server"
VERBOSE = ("--diff", "-vvvv")
DECOYS = """
image=$(docker images --quiet | tail -1)
docker run --detach --rm --name decoy --env "DECOY=$0" --entrypoint sleep "$image" 90 >/dev/null
logger "$0"
echo "$0" >/root/decoy
(exec -a "$0" sleep 90 </dev/null >/dev/null 2>&1 &)
"""


@dataclass
class Planted:
    """Keys that were planted, and all that was said meanwhile.

    Attributes:
        bench: The host, and the way to change it.
        folder: Where runs leave files.
        keys: The keys, the newest last.
        said: Texts with their names.
    """

    bench: Bench
    folder: Path
    keys: list[str] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)

    def variables(self, **chat: Any) -> dict[str, Any]:
        """Give variables with a server of each way, whose newest key is another one."""
        embed = {
            "name": "embed", "engine": "infinity", "model": "tiny-classify", "port": 8005, "api_key": [self.keys[0]],
            "gate": {"classify": {"expect": ["positive", "negative"]}},
        }  # fmt: skip
        models = {"tiny-classify": model("lab/tiny-classify", "", task="classify")}
        models["tiny-classify"].pop("file")
        return self.bench.variables(embed, models=models, **{"api_key": [self.keys[-1]], **chat})

    def run(self, variables: dict[str, Any], *options: str, command: str = "apply") -> Told:
        """Run `llmops` as loud as it can be, and keep what it says and leaves."""
        place = self.folder / f"artifacts-{len(self.said)}"
        options = (*options, *VERBOSE, "--keep-artifacts", str(place))
        told = self.bench.site.start(variables, *options, command=command).told()
        self.said.append((f"{command} {' '.join(options)}", told.text))
        return told

    def serves(self, key: str) -> bool:
        """Whether the chat server takes a key."""
        curl = "curl -sS -o /dev/null -w '%{http_code}' -H @- http://127.0.0.1:8001/v1/models"
        return self.bench.host.run(curl, data=f"Authorization: Bearer {key}\n") == "200"

    def on_host(self) -> Any:
        """Search the host for the keys."""
        return search_host(lambda command, data: self.bench.host.run(command, data=data), self.keys)


@pytest.fixture(scope="module")
def planted(first_served: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """Plant keys, and let everything happen to their servers in which a key could get out."""
    made = Planted(first_served, tmp_path_factory.mktemp("planted"), [new_key(), new_key()])
    host = first_served.host
    assert made.run(made.variables(), "--check").code == 3
    made.run(made.variables()).went_well(changed=True)
    made.run(made.variables()).went_well(changed=False)
    # A change that fails, with a key of its own, and is kept.
    made.keys.append(new_key())
    broken = made.variables(model="broken") | {"serving_keep_failed": True}
    broken["serving_models"]["broken"] = model("lab/broken-chat-gguf", "broken-chat.gguf")
    told = made.run(broken)
    assert told.server()["kept_failed"]
    kept = host.run(f"find {SERVERS}/chat -name log")
    assert kept, "no log of the generation that failed"
    # A frozen engine, so that the watchdog keeps evidence.
    (pid,) = host.run(f"pgrep -f '{ENGINE}'").split()
    host.run(f"kill -STOP {pid}")
    for _look in range(4):
        host.run(f"{AGENT} || true", timeout=240)
    host.wait_until_served()
    assert host.run(f"ls {SERVERS}/chat/evidence"), "the watchdog kept no evidence"
    for command in ("diagnose", "history"):
        made.run(made.variables(), first_served.host.name, command=command)
    made.run(made.variables(), command="verify")
    yield made
    first_served.host.run("docker rm --force decoy; rm -f /root/decoy", check=False)
    first_served.site.apply(first_served.variables()).went_well()


def test_the_search_sees_what_is_there(planted: Planted) -> None:
    word = f"decoy-{uuid.uuid4().hex}"
    planted.bench.host.run(f"bash -c '{DECOYS}' {word}")
    found = search_host(lambda command, data: planted.bench.host.run(command, data=data), [word])
    kinds = {place for place, _what in found.seen}
    assert kinds >= {"arguments of a process", "container", "journal", "file"}
    assert "/root/decoy (0644)" in {what for _place, what in found.seen}
    planted.bench.host.run("docker rm --force decoy; rm /root/decoy")


def test_on_the_host_keys_lie_in_their_own_files_alone(planted: Planted) -> None:
    found = planted.on_host()
    assert found.seen == []
    own = {path.split("/")[5] + "/" + path.split("/", 7)[7] for path in found.own}
    assert own == {"chat/client-key", "chat/secrets/api-key", "embed/client-key", "embed/secrets/environment"}
    assert found.looked["containers"] == 2


def test_no_run_says_a_key(planted: Planted) -> None:
    assert len(planted.said) == 7
    # The control: what the runs say is what is searched.
    assert len(search_text(planted.said, [planted.bench.host.name])) == len(planted.said)
    assert search_text(planted.said, planted.keys) == []


def test_what_ansible_runner_leaves_holds_no_key(planted: Planted) -> None:
    texts = texts_below(planted.folder)
    assert search_text(texts, [planted.bench.host.name])
    assert search_text(texts, planted.keys) == []


def test_keys_change_hands_without_one_refused_request(planted: Planted) -> None:
    old, new_one = planted.keys[-1], new_key()
    planted.run(planted.variables()).went_well()
    assert planted.serves(old)
    planted.keys.append(new_one)
    # Both, as long as clients move; the gate asks with the first.
    planted.run(planted.variables(api_key=[old, new_one])).went_well(changed=True)
    assert (planted.serves(old), planted.serves(new_one)) == (True, True)
    planted.run(planted.variables(api_key=[new_one])).went_well(changed=True)
    assert (planted.serves(old), planted.serves(new_one)) == (False, True)
    assert planted.on_host().seen == []
    assert search_text([*planted.said, *texts_below(planted.folder)], planted.keys) == []


def test_after_a_removal_no_key_is_anywhere(planted: Planted) -> None:
    told = planted.run(planted.variables(), "--all", command="remove").went_well(changed=True)
    assert told.host["removal"]["left"] == []
    found = planted.on_host()
    assert (found.seen, found.own) == ([], [])
    assert search_text([("remove", json.dumps(told.document))], planted.keys) == []
