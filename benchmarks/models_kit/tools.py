# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `benchmarks/models.py` compares: the tools' command lines, and in which cases they meet.

Ours and `hf` are given a repository, a commit and a file's name, and ask the hub as they do in the field; the others
are given the object's own address, which is the shortest way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.models_kit.stage import Order, Repo

if TYPE_CHECKING:
    from llmops_serving.lab.state import RepoFacts

OURS = "ours"
OURS_REPO = "ours, the repository"
#: Not a run of its own: the moment in a run of ours when all bytes are there and verified.
VERIFIED = "ours, until verified"

#: The hub without a limit, and with 50 MB/s for each connection; `inside/nginx.conf` has the numbers.
FAST, CAPPED = "http://127.0.0.1:8001", "http://127.0.0.1:8002"
#: 40 MB/s over all connections of a tool that has so many: all reach the half after the same time.
SHARED = {1: "http://127.0.0.1:8003", 8: "http://127.0.0.1:8004", 16: "http://127.0.0.1:8005"}
CONNECTIONS = 16
#: Where, below the folder that tools work in, the store puts the model `m`, and where the others put theirs.
STORE, PLACE = "store/m", "model"


@dataclass(frozen=True)
class Tool:
    """A way to fetch a model. Scripts find their addresses in the environment and work in an empty folder."""

    name: str
    script: str
    #: where the model's files are afterwards, below the work folder
    place: str = PLACE
    #: what is run beforehand and not measured
    setup: str = ""
    #: connections that it has to one file
    connections: int = 1
    #: how often the model is on the disk when the tool is done, by its design
    copies: int = 1


def ours(name: str = OURS) -> Tool:
    """Give the collection's own way: code from an archive, as in a module that Ansible sends to a host."""
    return Tool(
        name,
        'exec python3 /bench/ours.py "$PARAMETERS"',
        STORE,
        connections=CONNECTIONS,
    )


CURL = Tool("curl", 'exec curl -sf -o model/$FILE --create-dirs "$URL"')
WGET = Tool("wget", 'mkdir model; exec wget -q -O model/$FILE "$URL"')
HF = Tool(
    "hf download", 'exec /opt/hf/bin/hf download "$REPO" "$FILE" --revision "$REVISION" --local-dir model >/dev/null'
)
CLONE = Tool("git clone", 'exec git clone -q "$GIT" model', copies=2)
_BARE_CLONE = 'GIT_LFS_SKIP_SMUDGE=1 git clone -q --depth 1 "$GIT" model'
PULL = Tool("git clone --depth 1 && git lfs pull", f"{_BARE_CLONE} && git -C model lfs pull", copies=2)


def aria2c(name: str, connections: int, options: str = "") -> Tool:
    """Give aria2c, told to fetch ranges of any size, and not to fill the file with zeros first."""
    parallel = f"-x{connections} -s{connections} --min-split-size=1M --file-allocation=none"
    return Tool(name, f'exec aria2c -q {parallel} {options} -d model -o $FILE "$URL"', connections=connections)


@dataclass(frozen=True)
class Case:
    """Tools that fetch the same model from the same server."""

    name: str
    title: str
    repo: Repo
    tools: tuple[Tool, ...]
    #: the repository and not a file of it
    whole: bool = False
    #: killed after half, then run again
    killed: bool = False
    capped: bool = False

    def hub(self, tool: Tool) -> str:
        """The address of the hub, at the speed that a tool meets here."""
        if self.killed:
            return SHARED[tool.connections]
        return CAPPED if self.capped else FAST


def cases(size: int) -> tuple[Case, ...]:
    """Give all cases.

    Args:
        size: bytes of the largest file; the others follow from it: a half for the repositories, a quarter where the
            server is slow.
    """
    half, quarter = size // 2, size // 4
    slow = Repo("bench/quarter", (quarter,))
    return (
        Case(
            "file",
            f"one file of {mib(size)}",
            Repo("bench/file", (size,)),
            (
                ours(),
                CURL,
                Tool("curl && sync", f"{CURL.script.removeprefix('exec ')} && sync model/$FILE"),
                WGET,
                Tool(
                    "wget && sha256sum",
                    f'{WGET.script.replace("exec ", "")} && echo "$SHA256  model/$FILE" | sha256sum --quiet -c',
                ),
                aria2c("aria2c -x8 --checksum", 8, '--checksum=sha-256="$SHA256"'),
                HF,
            ),
        ),
        Case(
            "capped",
            f"one file of {mib(quarter)}, each connection capped at 50 MB/s",
            slow,
            (ours(), WGET, aria2c("aria2c -x8", 8), aria2c("aria2c -x16", 16)),
            capped=True,
        ),
        Case(
            "one",
            f"a repository with one LFS object of {mib(half)}",
            Repo("bench/one", (half,)),
            (ours(), CLONE, PULL),
            whole=True,
        ),
        Case(
            "eight",
            f"a repository with eight LFS objects of {mib(half // 8)}",
            Repo("bench/eight", (half // 8,) * 8),
            (ours(), CLONE, PULL),
            whole=True,
        ),
        Case(
            "killed",
            f"one file of {mib(quarter)}, killed (SIGKILL) after half of it, then run again; 40 MB/s in all",
            slow,
            (
                ours(),
                ours(OURS_REPO),
                Tool("git lfs pull", "exec git -C model lfs pull", setup=_BARE_CLONE, copies=2),
                HF,
                Tool("wget -c", 'exec wget -qc -O model/$FILE "$URL"', setup="mkdir model"),
                Tool("curl -C -", 'exec curl -sf -C - -o model/$FILE --create-dirs "$URL"'),
                aria2c("aria2c -x8 -c", 8, "-c --auto-save-interval=1"),
            ),
            killed=True,
        ),
    )


def order(case: Case, tool: Tool, facts: RepoFacts) -> Order:
    """Give a run of a tool in a case; one to be killed is made from it.

    Args:
        case: where it runs.
        tool: what runs.
        facts: what the hub has.
    """
    hub = case.hub(tool)
    repo, whole = case.repo, case.whole or tool.name == OURS_REPO
    name = repo.files[0]
    wanted = {path: facts.files[path].sha256 for path in repo.files}
    spec = {"repo": repo.name, "revision": facts.revision} | ({} if whole else {"file": name})
    parameters = {"models": {"m": spec}, "path": "/fetched/store", "hub_url": hub, "connections": CONNECTIONS}
    place = f"{tool.place}/{facts.revision[:12]}" if tool.place == STORE else tool.place
    return Order(
        script=tool.script,
        environment={
            "PARAMETERS": json.dumps(parameters),
            "URL": f"{hub.replace('127.0.0.1', '127.0.0.2')}/objects/{repo.name}/{wanted[name]}",
            "FILE": name,
            "SHA256": wanted[name],
            "REPO": repo.name,
            "REVISION": facts.revision,
            "GIT": f"{hub}/{repo.name}",
            "HF_ENDPOINT": hub,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        },
        warm=tuple(f"/hub/cdn/{repo.name}/{sha256}" for sha256 in wanted.values()),
        expect={f"{place}/{path}": sha256 for path, sha256 in wanted.items()},
    )


def mib(count: int) -> str:
    """Bytes for people: whole MiB, or GiB where it comes out even."""
    return f"{count >> 30} GiB" if count >= 1 << 30 and count % (1 << 30) == 0 else f"{count >> 20} MiB"
