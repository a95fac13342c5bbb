# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Make a host have a signed package repository of apt, dnf or zypper, once it is proven."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run
from ansible_collections.llmops.serving.plugins.module_utils._repository_proof import check_repository
from ansible_collections.llmops.serving.plugins.module_utils._repository_spec import (
    Repository,
    RepositoryError,
    fetch_key,
    source_text,
    wanted_key,
)
from ansible_collections.llmops.serving.plugins.module_utils._unit import write_atomically

if t.TYPE_CHECKING:
    from collections.abc import Iterable

# Where things lie on a host.
APT_KEYS = Path("/etc/apt/keyrings")
APT_SOURCES = Path("/etc/apt/sources.list.d")
APT_MAIN = Path("/etc/apt/sources.list")
RPM_KEYS = Path("/etc/pki/rpm-gpg")
DNF_REPOS = Path("/etc/yum.repos.d")
ZYPP_REPOS = Path("/etc/zypp/repos.d")

_TIMEOUT = 300.0
_DISABLED = "# disabled by llmops.serving: "


class FileChange(t.NamedTuple):
    """A file that differs from what it should be; a text of None is no file."""

    path: Path
    before: str | None
    after: str | None


def ensure(repository: Repository, state: str, conflicts: str, check: bool) -> dict[str, t.Any]:
    """Make the host have the repository, or have it no longer.

    Args:
        repository: The repository.
        state: `present` or `absent`.
        conflicts: What other entries hold that name the same repository, see `conflicting`.
        check: Whether nothing may be written.

    Returns:
        changed, files (paths of those that change) and diff, as a module returns them.

    Raises:
        RepositoryError: It cannot be used; nothing was changed then.
    """
    if state == "absent":
        changes = unplanned(repository)
    else:
        key = _proven_key(repository)
        changes = [*conflicting(repository, conflicts), *planned(repository, key)]
    if not check:
        write(changes)
        if state == "present":
            # Even where nothing changed: lists of before may lack the version that was proven just now.
            refresh(repository)
    return {
        "changed": bool(changes),
        "files": [str(change.path) for change in changes],
        "diff": [
            {
                "before_header": str(change.path),
                "after_header": str(change.path),
                "before": change.before or "",
                "after": change.after or "",
            }
            for change in changes
        ],
    }


def _proven_key(repository: Repository) -> str:
    key = installed_key(repository)
    if key is not None:
        problems = check_repository(repository, key)
        if not problems:
            return key
        # Perhaps only the copy on the host is old: keys are renewed under the same fingerprint.
    key = fetch_key(repository)
    problems = check_repository(repository, key)
    if problems:
        raise RepositoryError(*problems)
    return key


def key_path(repository: Repository) -> Path:
    """Tell where the key lies on the host."""
    if repository.manager == "apt":
        return APT_KEYS / f"{repository.name}.asc"
    return RPM_KEYS / f"RPM-GPG-KEY-{repository.name}"


def source_path(repository: Repository) -> Path:
    """Tell where the description of the repository lies on the host."""
    if repository.manager == "apt":
        return APT_SOURCES / f"{repository.name}.sources"
    return (DNF_REPOS if repository.manager == "dnf" else ZYPP_REPOS) / f"{repository.name}.repo"


def read(path: Path) -> str | None:
    """Read a file; None if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def installed_key(repository: Repository) -> str | None:
    """Give the key that is on the host, if it is the wanted one and no other."""
    path = key_path(repository)
    if not path.is_file():
        return None
    try:
        key = wanted_key(path.read_bytes(), repository)
    except RepositoryError:
        return None
    return key if key == read(path) else None


def planned(repository: Repository, key: str) -> list[FileChange]:
    """List the files that differ from what the repository needs."""
    wanted = [
        (key_path(repository), key),
        (source_path(repository), source_text(repository, key_path(repository))),
    ]
    changes = [FileChange(path, read(path), text) for path, text in wanted]
    return [change for change in changes if change.before != change.after]


def unplanned(repository: Repository) -> list[FileChange]:
    """List the files to remove so that the repository is gone."""
    changes = [FileChange(path, read(path), None) for path in (source_path(repository), key_path(repository))]
    return [change for change in changes if change.before is not None]


def conflicting(repository: Repository, word: str) -> list[FileChange]:
    """List what else of apt's sources names the same repository, and how it looks when that is disabled.

    apt refuses all its sources when two entries name one repository with different keys.

    Args:
        repository: Its own file is left out.
        word: What an entry must hold to be one of the same repository; empty for none.

    Returns:
        Files to change; their other entries stay as they are.
    """
    if not word or repository.manager != "apt":
        return []
    own = source_path(repository)
    paths = [APT_MAIN, *sorted(APT_SOURCES.glob("*.list")), *sorted(APT_SOURCES.glob("*.sources"))]
    changes = []
    for path in paths:
        before = read(path)
        if path == own or before is None or word not in before:
            continue
        after = _without_stanzas(before, word) if path.suffix == ".sources" else _without_lines(before, word)
        if after != before:
            changes.append(FileChange(path, before, after))
    return changes


def _without_lines(text: str, word: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(_DISABLED + line if word in line and not line.lstrip().startswith("#") else line for line in lines)


def _without_stanzas(text: str, word: str) -> str:
    # Stanzas are parted by blank lines; a stanza that is off is not looked at, so its key cannot clash.
    parts = re.split(r"(\n[ \t]*\n+)", text)
    return "".join(_switched_off(part) if _names(part, word) else part for part in parts)


def _names(stanza: str, word: str) -> bool:
    speaking = [line for line in stanza.splitlines() if not line.lstrip().startswith("#")]
    off = any(re.match(r"(?i)enabled:\s*(no|false|without|off|disable)\s*$", line) for line in speaking)
    return not off and any(word in line for line in speaking)


def _switched_off(stanza: str) -> str:
    rest = "\n".join(line for line in stanza.split("\n") if not re.match(r"(?i)enabled:", line))
    head, types, tail = rest.partition("Types:")
    return f"{head}Enabled: no\n{types}{tail}" if types else f"Enabled: no\n{rest}"


def write(changes: Iterable[FileChange]) -> None:
    """Make files what they should be, each in one step."""
    for change in changes:
        if change.after is None:
            change.path.unlink()
        else:
            change.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(change.path, change.after, 0o644)


def refresh(repository: Repository) -> None:
    """Let the package manager read the repository that was just added, and no other.

    Raises:
        RepositoryError: It cannot.
    """
    name = repository.name
    try:
        if repository.manager == "apt":
            only = ["-o", f"Dir::Etc::sourcelist={source_path(repository)}", "-o", "Dir::Etc::sourceparts=-"]
            kept = ["-o", "APT::Get::List-Cleanup=0", "-o", "DPkg::Lock::Timeout=300"]
            run(["apt-get", "update", "-q", *only, *kept], timeout=_TIMEOUT)
        elif repository.manager == "dnf":
            # -y takes the key of gpgkey= into dnf's own key ring of this repository.
            words = ["dnf", "-q", "-y", "makecache", "--disablerepo=*", f"--enablerepo={name}"]
            run(words, timeout=_TIMEOUT)
        else:
            # Never --gpg-auto-import-keys: that would also take a key which the repository itself hands out.
            run(["rpm", "--import", str(key_path(repository))])
            run(["zypper", "--non-interactive", "refresh", name], timeout=_TIMEOUT)
    except CommandError as exc:
        raise RepositoryError(
            f"{repository.blamed('url')}: {repository.url} was added and cannot be read ({exc}): try again"
        ) from exc
