# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run on the host, with a server's name: prints as JSON how the server stands, and what lies about that should not."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

STATE = Path("/var/lib/llmops")
UNITS = Path("/etc/systemd/system")
QUESTION = "What is the capital of France?"


def main(name: str) -> dict[str, Any]:
    """Look at a server."""
    unit = show(f"llmops-{name}.service")
    folder = STATE / "servers" / name
    return {
        "active": unit["ActiveState"],
        "sub": unit["SubState"],
        "enabled": unit["UnitFileState"],
        "stale": unit["NeedDaemonReload"] == "yes",
        "unit": text(UNITS / f"llmops-{name}.service"),
        "current": current(folder),
        "generations": {path.name: generation(path) for path in folder.glob("[0-9]*")},
        "container": container(name),
        "engine_maps": maps(name),
        "answer": ask(folder),
        "holder": holder(name),
        "left": sorted(left(folder)),
        "store": store(),
    }


def run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout  # noqa: S603 - our own words


def show(unit: str) -> dict[str, str]:
    words = "ActiveState,SubState,UnitFileState,NeedDaemonReload"
    return dict(line.partition("=")[::2] for line in run("systemctl", "show", "-p", words, unit).splitlines())


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def current(folder: Path) -> str:
    link = folder / "current"
    return link.resolve().name if link.is_symlink() else ""


def generation(path: Path) -> dict[str, Any]:
    """A generation counts when its record and its unit are there whole."""
    try:
        record = json.loads(text(path / "server.json"))
    except ValueError:
        return {"whole": False}
    words = {word: record.get(word) for word in ("image", "made", "gated", "failed")}
    models = {model["path"]: Path(model["path"]).is_dir() for model in record["asked"]["models"]}
    return {"whole": bool(text(path / "unit")), "unit": text(path / "unit"), "models": models, **words}


def container(name: str) -> dict[str, Any]:
    found = json.loads(run("docker", "inspect", f"llmops-{name}") or "[]")
    if not found:
        return {}
    return {
        "id": found[0]["Id"],
        "image": found[0]["Config"]["Image"],
        "pid": found[0]["State"]["Pid"],
        "argv": found[0]["Args"],
        "mounts": sorted(mount["Source"] for mount in found[0]["Mounts"]),
    }


def maps(name: str) -> dict[str, bool]:
    """Model files that the engine has mapped, and whether each is the one that lies in the store now."""
    found: dict[str, bool] = {}
    if (STATE / "models").is_mount():
        # A fault has put another disk in the store's place.
        return found
    for process in processes(f"llmops-{name}"):
        with contextlib.suppress(OSError):
            for line in (process / "maps").read_text(encoding="utf-8", errors="replace").splitlines():
                cells = line.split(maxsplit=5)
                if len(cells) == 6 and cells[5].startswith("/models/"):
                    place = [path for path in stored() if str(path.stat().st_ino) == cells[4]]
                    found[cells[5]] = bool(place)
    return found


def processes(name: str) -> list[Path]:
    return [Path("/proc") / pid for pid in run("docker", "top", name, "-eo", "pid").split()[1:]]


def stored() -> list[Path]:
    return [path for path in (STATE / "models").rglob("*") if path.is_file()]


def ask(folder: Path) -> str:
    """Ask what the server is for, as its own record says: a chat's answer, or the length of an embedding."""
    try:
        record = json.loads(text(folder / "current" / "server.json"))["asked"]
        model = record["models"][0]
        key = text(folder / "current" / "client-key")
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        body: dict[str, Any] = {"model": model["name"]}
        if model["task"] == "chat":
            path = "chat/completions"
            body |= {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 32, "temperature": 0}
        else:
            path, body["input"] = "embeddings", QUESTION
        url = f"http://127.0.0.1:{record['port']}/v1/{path}"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310 - a fixed scheme
            answer = json.loads(reply.read())
    except Exception as exc:
        # Whatever it is, there is no answer.
        return f"no answer: {exc}"
    if "choices" in answer:
        return str(answer["choices"][0]["message"]["content"])
    return f"{len(answer['data'][0]['embedding'])} numbers"


def holder(name: str) -> str:
    """What the lock says, empty when nobody has it."""
    with contextlib.suppress(OSError), Path(f"/run/lock/llmops-{name}.lock").open("r+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read() or "somebody"
    return ""


def left(folder: Path) -> list[str]:
    """What a change leaves only when it was cut off."""
    found = [*UNITS.glob(".llmops-*"), *folder.rglob(".llmops-*"), folder / "current.new", folder / "change.json"]
    return [str(path) for path in found if path.exists() or path.is_symlink()]


def store() -> dict[str, str]:
    """By path, the sha256 of the models' files, and all that waits for a next run."""
    place = STATE / "models"
    files = [path for path in stored() if not re.search(r"\.json$|/\.lock$", str(path))]
    found = {}
    for path in files:
        with path.open("rb") as file:
            found[str(path.relative_to(place))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
