# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Search a host, and what runs printed about it, for secrets. They may lie in their own files of mode 0600 alone."""

from __future__ import annotations

import base64
import json
import os
import typing as t
import uuid
from pathlib import Path
from urllib.parse import quote

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Files that are a secret's own, as the module `server` writes them.
OWN = r"/var/lib/llmops/servers/[^/]+/\d{4}/(secrets/[^/]+|client-key)"
#: Runs on the host, and reads what to look for from stdin, for it would be seen among its arguments.
_PROGRAM = r"""
import glob, json, os, re, subprocess, sys
told = json.load(sys.stdin)
words, own = [word.encode() for word in told["words"]], re.compile(told["own"])
seen, files, looked = [], [], {"processes": 0, "journal": 0, "containers": 0, "units": 0, "files": 0}
def look(place, what, data):
    if any(word in data for word in words):
        seen.append([place, what])
def out(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
for path in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        data = open(path, "rb").read().replace(b"\0", b" ")
    except OSError:
        continue
    looked["processes"] += 1
    look("arguments of a process", data.decode(errors="replace")[:120], data)
ids = out("docker", "ps", "--all", "--quiet").decode().split()
looked["containers"] = len(ids)
for one in ids:
    look("container", one, out("docker", "inspect", one) + out("docker", "logs", one))
shown = out("systemctl", "show", "*")
looked["units"] = shown.count(b"\nId=")
look("units", "systemctl show", shown)
# Every field, the arguments of whoever wrote the line among them.
journal = out("journalctl", "--no-pager", "--all", "--output", "verbose")
looked["journal"] = len(journal)
for line in journal.splitlines():
    look("journal", line.decode(errors="replace")[:120], line)
# What is asked above, what a container's image has brought, and weights.
skipped = re.compile("|".join((
    "/(var|run)/log/journal/", "/var/lib/docker/(overlay2|containerd|image)/", "/var/lib/containerd/",
    "/var/lib/llmops/models/",
)))
for root in ("/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr/local", "/var", "/dev/shm"):
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not skipped.match(os.path.join(folder, name) + "/")]
        for name in names:
            path = os.path.join(folder, name)
            try:
                if not os.path.isfile(path) or os.path.islink(path):
                    continue
                data = open(path, "rb").read()
                mode = os.stat(path).st_mode & 0o7777
            except OSError:
                continue
            looked["files"] += 1
            if any(word in data for word in words):
                files.append([path, mode])
mine = [path for path, mode in files if own.fullmatch(path) and mode == 0o600]
seen += [["file", "%s (%04o)" % (path, mode)] for path, mode in files if path not in mine]
print(json.dumps({"seen": seen, "own": mine, "looked": looked}))
"""


def new_key() -> str:
    """Make a key that nothing else on earth holds, with signs that shells and JSON take for their own."""
    return f"sk-planted-{uuid.uuid4().hex}+/=$x"


class Found(t.NamedTuple):
    """What a search found.

    Attributes:
        seen: Where a secret is seen that must not be there: the kind of place, and which.
        own: Its own files.
        looked: How much was looked at, by the kind of place.
    """

    seen: list[tuple[str, str]]
    own: list[str]
    looked: dict[str, int]


def forms(secret: str) -> list[str]:
    """Give a secret as it may be written: plain, in base64 at each offset, in a URL, in JSON."""
    coded = [base64.b64encode(b"x" * offset + secret.encode())[4:-4].decode() for offset in (1, 2, 3)]
    return list(dict.fromkeys([secret, quote(secret, safe=""), json.dumps(secret)[1:-1], *coded]))


def search_host(run: Callable[[str, str], str], secrets: Iterable[str]) -> Found:
    """Search a host.

    Args:
        run: Runs a shell command on the host as root, with a text on its stdin, and gives what it prints.
        secrets: What to look for.
    """
    words = [form for secret in secrets for form in forms(secret)]
    # Not by way of a shell's variable either: `printf` is a builtin, but what runs it has arguments.
    said = run("python3 -c " + _quoted(_PROGRAM), json.dumps({"words": words, "own": OWN}))
    found = json.loads(said)
    assert min(found["looked"][place] for place in ("processes", "units", "journal", "files")) > 0, found["looked"]
    return Found([(place, what) for place, what in found["seen"]], found["own"], found["looked"])


def search_text(texts: Iterable[tuple[str, str]], secrets: Iterable[str]) -> list[str]:
    """Name the texts, each given with its name, in which a secret is seen."""
    words = [form for secret in secrets for form in forms(secret)]
    return [name for name, text in texts if any(word in text for word in words)]


def texts_below(folder: Path) -> list[tuple[str, str]]:
    """Give all files below a folder with their names."""
    found = [Path(place) / name for place, _folders, names in os.walk(folder) for name in names]
    return [(str(path), path.read_text(encoding="utf-8", errors="replace")) for path in sorted(found) if path.is_file()]


def _quoted(program: str) -> str:
    return "'" + program.replace("'", "'\\''") + "'"
