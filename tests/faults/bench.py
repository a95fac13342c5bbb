# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all faults happen to: one host, its server `chat` that serves, and the variables that say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmops_serving.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.faults.fault_host import FaultHost
    from tests.faults.runs import Site, Told
    from tests.faults.state import State

REGISTRY = "registry.lab:5000"
#: A rule of iptables under which nothing gets to the registry.
NO_WAY = "OUTPUT -p tcp --dport 5000 -j REJECT --reject-with tcp-reset"
STORE = "/var/lib/llmops/models"
SERVERS = "/var/lib/llmops/servers"
#: A second model beside the chat's, large enough to be interrupted.
LARGE = "minilm-gguf"
LARGE_FILE = "minilm.gguf"


@dataclass(frozen=True)
class Bench:
    """The host, the way to change it, and what it shall serve."""

    host: FaultHost
    site: Site

    # -- what an inventory says ----------------------------------------------------------------------------------------

    def variables(
        self, *more: Mapping[str, Any], models: Mapping[str, Any] | None = None, **chat: Any
    ) -> dict[str, Any]:
        """Give variables: the server `chat` with some words changed, and further servers and models."""
        return {
            "serving_models": {"tiny-chat": model("lab/tiny-chat-gguf", "tiny-chat.gguf"), **(models or {})},
            "serving_servers": [{**self.chat, **chat}, *more],
        }

    @property
    def chat(self) -> dict[str, Any]:
        """The entry of the server that must survive everything."""
        return {
            "name": "chat",
            "engine": "llama_cpp",
            "model": "tiny-chat",
            "port": 8001,
            "context_length": 512,
            "api_key": [self.key],
            "gate": {"chat": {"expect": "Paris"}},
        }

    @property
    def key(self) -> str:
        """The server's key."""
        return Lab().paths.api_key.read_text(encoding="ascii").strip()

    def other_than(self, state: State) -> dict[str, Any]:
        """Give variables for a change of what serves now: other words, and the image under another of its names."""
        large = "--ctx-size 768" in state.seen["unit"]
        words = {"context_length": 512 if large else 768}
        return self.variables(**words) if large else self.variables(**words, image=self.image_by_digest(state))

    @staticmethod
    def image_by_digest(state: State) -> str:
        """Give the served image by its digest, under the name that it has in the field."""
        return str(state.seen["container"]["image"]).removeprefix(f"{REGISTRY}/")

    # -- before and after a fault --------------------------------------------------------------------------------------

    def served(self) -> State:
        """Make the host serve as it did before any fault, and see that it does."""
        self.site.apply(self.variables()).went_well()
        return self.host.wait_until_served().must_serve()

    def tidy(self) -> None:
        """Take away what a fault leaves whose test failed half-way."""
        self.host.run(
            f"umount -l {STORE} {SERVERS} /mnt/small; pkill -f 'http.server [8]090'; rm -rf {STORE}/.partial/*; "
            f"find {STORE} -mindepth 1 -maxdepth 1 -type d ! -name tiny-chat ! -name .partial -exec rm -rf {{}} +; "
            "systemctl disable --now llmops-vectors; rm -rf /etc/systemd/system/llmops-vectors.service; "
            f"rm -rf {SERVERS}/vectors; while iptables -D {NO_WAY}; do true; done",
            check=False,
        )

    def changes_nothing(self, variables: Mapping[str, Any]) -> Told:
        """A run that finds all done, and so it is."""
        before = self.host.look()
        told = self.site.apply(variables).went_well(changed=False)
        self.host.look().must_be_untouched_since(before)
        return told

    def refused(self, variables: Mapping[str, Any], *patterns: str) -> Told:
        """A run that fails, says why and what to do, and leaves the server as it is, never away."""
        before = self.host.look()
        told = self.site.apply(variables).failed(*patterns)
        self.host.look().must_be_untouched_since(before)
        return told

    def refused_by_role(self, variables: Mapping[str, Any], *words: str) -> None:
        """The role `engine` alone, as after a preflight that saw nothing, refuses and leaves the server as it is."""
        before = self.host.look()
        told = self.site.apply_engine(variables)
        assert told.code, "it was taken"
        missing = [word for word in words if word not in " ".join(told.text.split())]
        assert not missing, f"{missing} is not said by:\n{told.text[-3000:]}"
        self.host.look().must_be_untouched_since(before)

    def put_back(self, variables: Mapping[str, Any], *patterns: str) -> Told:
        """A change that fails behind the stop: it says why and what to do, and the generation before serves again."""
        before = self.host.look()
        told = self.site.apply(variables).failed(*patterns)
        assert told.server()["rolled_back"] is True
        assert told.server()["seconds"]["away"] > 0
        after = self.host.look().must_serve()
        assert after.current == before.current, "another generation is current"
        assert after.container != before.container, "it was never stopped, so nothing was put back"
        return told

    def forget_model(self, *names: str) -> None:
        """Take models from the store, with all that is left of their fetch."""
        for name in names:
            self.host.run(f"rm -rf {STORE}/{name} {STORE}/.partial/*")


def model(repo: str, file: str, **words: Any) -> dict[str, Any]:
    """Give the entry of a model of the lab's hub."""
    revision = Lab().paths.load().repos[repo].revision
    return {"repo": repo, "revision": revision, "file": file, **words}


def large_model() -> dict[str, Any]:
    """Give the entry of the second model."""
    return {LARGE: model("lab/minilm-gguf", LARGE_FILE, task="embedding")}


def large_size() -> int:
    """Bytes of the second model's file."""
    return Lab().paths.load().repos["lab/minilm-gguf"].files[LARGE_FILE].size
