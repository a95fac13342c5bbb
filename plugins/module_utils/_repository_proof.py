# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Prove that a package repository answers, is signed by its key and has its packages, without changing the host.

Whether it is signed is left to the package manager itself, in directories of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run
from ansible_collections.llmops.serving.plugins.module_utils._repository_spec import (
    Repository,
    RepositoryError,
    plain_fingerprint,
    source_text,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TIMEOUT = 300.0
_NEWEST = 5

# What a package manager says about a signature that is not good. Seen with apt 2.6 (gpgv) and 3.3 (sqv); those of dnf
# and zypper are from librepo (src/librepo/gpg.c) and libzypp.
_UNTRUSTED = re.compile(
    r"NO_PUBKEY|Missing key|BADSIG|EXPKEYSIG|KEYEXPIRED|REVKEYSIG"
    r"|signatures? (?:were|was|is) invalid|/usr/bin/sqv returned|is not signed|not signed by"
    r"|GPG (?:check FAILED|signature verification|verification is enabled)|[Ss]ignature verification failed"
    r"|[Ss]igning key not found|[Bb]ad GPG signature|unknown key|public key is not installed"
)
_SIGNER = re.compile(r"(?:NO_PUBKEY|Missing key) ([0-9A-F]{16,})")
# Before the above: a repository that is not there is not signed either.
_ABSENT = re.compile(r"does not have a Release file")
# apt of Debian 13 and newer: https://wiki.debian.org/Teams/Apt/Sha1Removal, NVIDIA/cuda-repo-management #34.
_SHA1 = re.compile(r"SHA1 is not considered secure")
_EXPIRED = re.compile(r"EXPKEYSIG|KEYEXPIRED|[Ee]xpired on|key has expired")


def check_repository(repository: Repository, key: str) -> list[str]:
    """Prove that the repository answers, is signed by the key and has the packages, without changing the host.

    Args:
        repository: What to prove.
        key: Its key, ASCII-armoured, as `fetch_key` gives it.

    Returns:
        One line for each problem, with the variable and the remedy; none when all is well.
    """
    # Not TemporaryDirectory: Python 3.8 has no ignore_cleanup_errors, and apt's helper may still be writing.
    folder = Path(tempfile.mkdtemp(prefix="llmops-repository-"))
    try:
        # apt reads as a user of its own.
        folder.chmod(0o755)
        key_file = folder / "key.asc"
        key_file.write_text(key, encoding="ascii")
        key_file.chmod(0o644)
        ask = {"apt": _ask_apt, "dnf": _ask_dnf, "zypper": _ask_zypper}[repository.manager]
        offered = ask(repository, folder, key_file)
    except RepositoryError as exc:
        return exc.problems
    except CommandError as exc:
        return [f"{repository.blamed('url')}: {repository.url} cannot be proven ({exc}): correct that, then try again"]
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)
    return package_problems(repository, offered)


def package_problems(repository: Repository, offered: Mapping[str, Sequence[str]]) -> list[str]:
    """Compare what a repository has with what it must have.

    Args:
        repository: What it must have.
        offered: The versions of each package, newest first.

    Returns:
        One line for each problem.
    """
    absent = [package for package in repository.packages if not offered.get(package)]
    problems = []
    if absent:
        problems.append(
            f"{repository.blamed('packages')}: {repository.url} has no package {', '.join(absent)}: set "
            f"{repository.blamed('url')} to a repository that has it for this distribution and architecture"
        )
    if repository.version:
        older = [
            package
            for package in repository.packages
            if package not in absent and repository.version not in offered[package]
        ]
        if older:
            # What all of them have can be chosen.
            shared = [version for version in offered[older[0]] if all(version in offered[package] for package in older)]
            choices = ", ".join(shared[:_NEWEST]) or "none that all of them have"
            problems.append(
                f"{repository.blamed('version')}: {repository.url} has no {repository.version} of {', '.join(older)}: "
                f"choose one of {choices}"
            )
    return problems


def refusal(repository: Repository, said: str) -> RepositoryError:
    """Tell from a package manager's words why it does not take a repository.

    Args:
        repository: The one it was asked about.
        said: All that it printed.

    Returns:
        An error with the variable and the remedy.
    """
    url, wanted = repository.url, plain_fingerprint(repository.fingerprint)
    if _SHA1.search(said):
        return RepositoryError(
            f"{repository.blamed('fingerprint')}: the key {wanted} vouches for itself by SHA-1, which this host "
            f"refuses: set {repository.blamed('url')}, {repository.blamed('key_url')} and it to those of a newer key"
        )
    if _EXPIRED.search(said):
        return RepositoryError(
            f"{repository.blamed('key_url')}: the key {wanted} has expired in the copy at {repository.key_url}: "
            "set it to where a renewed copy is"
        )
    if _UNTRUSTED.search(said) and not _ABSENT.search(said):
        signer = _SIGNER.search(said)
        by = f" but by {signer.group(1)}" if signer else f" ({_first_words(said)})"
        return RepositoryError(
            f"{repository.blamed('fingerprint')}: {url} is not signed by {wanted}{by}: set "
            f"{repository.blamed('url')} to a repository that is, or it and {repository.blamed('key_url')} to the key "
            "of this one"
        )
    return RepositoryError(
        f"{repository.blamed('url')}: {url} cannot be read ({_first_words(said)}): set it to a repository that this "
        "host reaches"
    )


def _first_words(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    # apt's own words come below a line that begins with Err; those of the others begin with a word for it.
    for position, line in enumerate(lines):
        if line.startswith("Err:") and position + 1 < len(lines):
            return lines[position + 1][:200]
    for pattern in (r"^- Curl error|^- Status code", r"(?i)error|failed|cannot|could not|not found"):
        for line in lines:
            if re.search(pattern, line):
                return line.lstrip("- ")[:200]
    return (lines or ["no message"])[0][:200]


def _ask_apt(repository: Repository, folder: Path, key: Path) -> dict[str, list[str]]:
    for below in ("state/lists/partial", "cache/archives/partial"):
        (folder / below).mkdir(parents=True)
    status = folder / "status"
    status.write_text("", encoding="ascii")
    source = folder / "it.sources"
    source.write_text(source_text(repository, key), encoding="utf-8")
    settings = {
        "Dir::Etc::sourcelist": source,
        "Dir::Etc::sourceparts": "-",
        # Only the key that the source names counts.
        "Dir::Etc::trusted": "/dev/null",
        "Dir::Etc::trustedparts": "-",
        "Dir::State": folder / "state",
        "Dir::State::status": status,
        "Dir::Cache": folder / "cache",
        "Acquire::Retries": 1,
        "Acquire::Languages": "none",
    }
    words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    done = run(["apt-get", "update", *words], timeout=_TIMEOUT, check=False)
    said = done.out + done.err
    # Without an answer from the repository apt only warns, and ends with 0.
    if done.code or re.search(r"^(?:Err:|E: |W: Failed to fetch|Error: |Warning: Failed to fetch)", said, re.MULTILINE):
        raise refusal(repository, said)
    offered: dict[str, list[str]] = {}
    if repository.packages:
        for line in run(["apt-cache", "madison", *words, *repository.packages]).out.splitlines():
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) > 1:
                offered.setdefault(cells[0], []).append(cells[1])
    return offered


def _ask_dnf(repository: Repository, folder: Path, key: Path) -> dict[str, list[str]]:
    repos, cache = folder / "repos", folder / "cache"
    repos.mkdir()
    (repos / "it.repo").write_text(source_text(repository, key), encoding="utf-8")
    program = shutil.which("dnf") or "dnf"
    # dnf 5 keeps root's cache in a place with a name of its own.
    place = "system_cachedir" if os.path.realpath(program).endswith("dnf5") else "cachedir"
    # Distributions switch it on, and then a repository that is refused looks like one that is empty.
    strict = f"--setopt={repository.name}.skip_if_unavailable=0"
    words = [program, "-y", f"--setopt=reposdir={repos}", f"--setopt={place}={cache}", strict]
    form = (
        "%{name}|%{epoch}|%{version}-%{release}\\n"
        if place == "system_cachedir"
        else "%{name}|%{epoch}|%{version}-%{release}"
    )
    done = run([*words, "repoquery", "--queryformat", form, *repository.packages], timeout=_TIMEOUT, check=False)
    if done.code:
        raise refusal(repository, done.out + done.err)
    return rpm_versions(done.out)


def rpm_versions(text: str) -> dict[str, list[str]]:
    """Read lines of name, epoch and version with release, parted by `|`.

    Returns:
        The versions of each package, newest first; an epoch other than 0 stands before them.
    """
    offered: dict[str, list[str]] = {}
    for line in text.splitlines():
        cells = line.strip().split("|")
        if len(cells) == 3:  # noqa: PLR2004  the three above
            name, epoch, version = cells
            whole = version if epoch in ("0", "", "(none)") else f"{epoch}:{version}"
            if whole not in offered.setdefault(name, []):
                offered[name].append(whole)
    return {name: sorted(versions, key=_rpm_key, reverse=True) for name, versions in offered.items()}


def _rpm_key(version: str) -> list[tuple[int, int, str]]:
    # Near enough to rpm's own order for a list that a person reads: numbers by value, and above letters.
    parts = re.findall(r"\d+|[A-Za-z]+", version)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def _ask_zypper(repository: Repository, folder: Path, key: Path) -> dict[str, list[str]]:
    # A root of its own has an rpm database of its own, which holds no other key.
    root = folder / "root"
    (root / "etc/zypp/repos.d").mkdir(parents=True)
    (root / "etc/zypp/repos.d/it.repo").write_text(source_text(repository, key), encoding="utf-8")
    run(["rpm", "--root", str(root), "--import", str(key)])
    words = ["zypper", "--root", str(root), "--non-interactive"]
    done = run([*words, "refresh", repository.name], timeout=_TIMEOUT, check=False)
    if done.code:
        raise refusal(repository, done.out + done.err)
    if not repository.packages:
        return {}
    done = run(
        [*words, "--no-refresh", "search", "--details", "--match-exact", "--type", "package", *repository.packages],
        check=False,
    )
    lines = []
    for line in done.out.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        # S | Name | Type | Version | Arch | Repository
        if len(cells) > 4 and cells[2] == "package":  # noqa: PLR2004  as the line above
            epoch, colon, version = cells[3].rpartition(":")
            lines.append(f"{cells[1]}|{epoch if colon else '0'}|{version}")
    return rpm_versions("\n".join(lines))
