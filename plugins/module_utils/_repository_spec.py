# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What a signed package repository of apt, dnf or zypper shall be: its key, and its description for the manager.

The key is pinned by its fingerprint, which is computed here, so that nothing but Python is needed to refuse another.
"""

from __future__ import annotations

import re
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ansible_collections.llmops.serving.plugins.module_utils._openpgp import KeyFileError, armoured, primary_keys

if t.TYPE_CHECKING:
    from pathlib import Path

MANAGERS = ("apt", "dnf", "zypper")
#: What of an rpm repository is signed; apt knows metadata only.
SIGNED = ("metadata", "packages")
#: Keys of the option that says which variable to blame.
BLAMED = ("url", "key_url", "fingerprint", "version", "packages")

_KEY_LIMIT = 1024 * 1024
_KEY_TIMEOUT = 20.0


class RepositoryError(Exception):
    """The repository cannot be used.

    Attributes:
        problems: One line for each problem, with the variable and the remedy.
    """

    def __init__(self, *problems: str) -> None:
        """Keep the lines apart; as text they stand behind each other."""
        self.problems = list(problems)
        super().__init__("; ".join(problems))


class Repository(t.NamedTuple):
    """A repository as it should be.

    Attributes:
        name: Of its files, and what the package manager calls it.
        manager: One of MANAGERS.
        url: Its address; the package manager's own variables such as `$(ARCH)` and `$basearch` may be in it.
        key_url: Where its key is: http, https or file.
        fingerprint: Of the primary key, in hexadecimal digits; blanks and case do not count.
        packages: What it must have.
        version: The exact version that it must have of them; empty for any.
        suite: Of apt; one that ends with a slash is a flat repository.
        components: Of apt, none in a flat repository.
        signed: What is signed, of SIGNED; for dnf and zypper.
        variables: By the names in BLAMED, the variable that a message shall name.
    """

    name: str
    manager: str
    url: str
    key_url: str
    fingerprint: str
    packages: t.Sequence[str] = ()
    version: str = ""
    suite: str = "/"
    components: t.Sequence[str] = ()
    signed: t.Sequence[str] = SIGNED
    variables: t.Mapping[str, str] = {}

    def blamed(self, what: str) -> str:
        """Give the variable that a message about `what` shall name."""
        return self.variables.get(what) or what


def source_text(repository: Repository, key: Path) -> str:
    """Describe the repository in the language of its package manager.

    Args:
        repository: What to describe.
        key: The file with its key.

    Returns:
        A deb822 file for apt, an ini file for the others.
    """
    if repository.manager == "apt":
        lines = [
            "# Written by llmops.serving",
            "Types: deb",
            f"URIs: {repository.url}",
            f"Suites: {repository.suite}",
            *([f"Components: {' '.join(repository.components)}"] if repository.components else []),
            f"Signed-By: {key}",
        ]
    else:
        lines = [
            "# Written by llmops.serving",
            f"[{repository.name}]",
            f"name={repository.name}",
            f"baseurl={repository.url}",
            "enabled=1",
            f"repo_gpgcheck={int('metadata' in repository.signed)}",
            f"gpgcheck={int('packages' in repository.signed)}",
            f"gpgkey=file://{key}",
        ]
    return "\n".join(lines) + "\n"


def plain_fingerprint(text: str) -> str:
    """Write a fingerprint without blanks, in capitals, as gpg's machine-readable output has it."""
    return re.sub(r"[\s:]", "", text).upper()


def fetch_key(repository: Repository) -> str:
    """Fetch the key, and refuse one with another fingerprint.

    Args:
        repository: Whose key.

    Returns:
        The wanted key alone, ASCII-armoured: other keys in the same file are not handed on, and so never trusted.

    Raises:
        RepositoryError: It cannot be fetched, is no key, or another one.
    """
    for part, address in (("url", repository.url), ("key_url", repository.key_url)):
        if "@" in urllib.parse.urlsplit(address).netloc:
            raise RepositoryError(
                f"{repository.blamed(part)}: the address holds a name or password, which a list of sources shows to "
                "everybody: take it out, and write it into /etc/apt/auth.conf.d or the like on the host"
            )
    url = repository.key_url
    where = repository.blamed("key_url")
    if urllib.parse.urlsplit(url).scheme not in ("http", "https", "file"):
        raise RepositoryError(
            f"{where}: {url!r} is no address: write one that begins with https://, http:// or file://"
        )
    try:
        with urllib.request.build_opener().open(url, timeout=_KEY_TIMEOUT) as answer:
            data = answer.read(_KEY_LIMIT)
    except (OSError, ValueError) as exc:
        raise RepositoryError(f"{where}: {url} gives no key ({_reason(exc)}): set it to an address of the key") from exc
    return wanted_key(data, repository)


def wanted_key(data: bytes, repository: Repository) -> str:
    """Take the wanted key out of a file of keys.

    Args:
        data: The file, ASCII-armoured or binary.
        repository: Whose key.

    Returns:
        The key, ASCII-armoured.

    Raises:
        RepositoryError: The file holds no key, or only others.
    """
    try:
        keys = primary_keys(data)
    except KeyFileError as exc:
        where = repository.blamed("key_url")
        raise RepositoryError(f"{where}: {repository.key_url} is no OpenPGP key ({exc}): correct it") from exc
    wanted = plain_fingerprint(repository.fingerprint)
    for key in keys:
        if key.fingerprint == wanted:
            return armoured(key.block)
    seen = ", ".join(key.fingerprint for key in keys)
    raise RepositoryError(
        f"{repository.blamed('fingerprint')}: the key at {repository.key_url} is {seen}, not {wanted}: correct "
        f"{repository.blamed('key_url')}, or set it to the new fingerprint if the vendor published one"
    )


def _reason(exc: BaseException) -> str:
    if isinstance(exc, urllib.error.HTTPError):
        return f"HTTP {exc.code}"
    cause = exc.reason if isinstance(exc, urllib.error.URLError) else exc
    return str(getattr(cause, "strerror", None) or cause)
