# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the collection, its inventories and Ansible's own settings are."""

from __future__ import annotations

import configparser
import locale
import os
import stat
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

COLLECTION = Path("ansible_collections/llmops/serving")
PACKAGE = Path(__file__).resolve().parent

# What a run needs and ansible.cfg may say otherwise: environment variable, section and key of ansible.cfg, our value.
# ansible-runner turns host key checking off where the environment does not name it, so it has to be named.
SETTINGS: tuple[tuple[str, str, str, str], ...] = (
    ("ANSIBLE_FORKS", "defaults", "forks", "20"),
    ("ANSIBLE_HOST_KEY_CHECKING", "defaults", "host_key_checking", "True"),
    ("ANSIBLE_INVENTORY_UNPARSED_FAILED", "inventory", "unparsed_is_failed", "True"),
    ("ANSIBLE_PIPELINING", "connection", "pipelining", "True"),
    ("ANSIBLE_PYTHON_INTERPRETER", "defaults", "interpreter_python", "auto_silent"),
)
DEFAULT_COLLECTION_PATHS = ("~/.ansible/collections", "/usr/share/ansible/collections")


def collection_root(package: Path = PACKAGE) -> Path | None:
    """Find the collection that belongs to this driver.

    Args:
        package: The folder of the package `llmops_serving`.

    Returns:
        The folder that holds `ansible_collections/`: `.collections` of a checkout, or site-packages where the wheel
        put it; None if neither has it, and Ansible's own search path has to do.
    """
    for root in (package.parent / ".collections", package.parent):
        if (root / COLLECTION / "playbooks").is_dir():
            return root
    return None


def bundled_inventory(name: str, package: Path = PACKAGE) -> Path:
    """Find an inventory that comes with the driver.

    Args:
        name: Its folder's name: `lab`, `cpu` or `gpu`.
        package: The folder of the package `llmops_serving`.

    Returns:
        `inventories/<name>` of the checkout, or the copy inside the installed package.
    """
    checkout = package.parent / "inventories" / name
    return checkout if checkout.is_dir() else package / "inventories" / name


def ansible_config(environ: Mapping[str, str], cwd: Path) -> tuple[Path | None, configparser.ConfigParser]:
    """Read the ansible.cfg that Ansible itself would read.

    Args:
        environ: The environment of the run.
        cwd: The working directory of the run.

    Returns:
        The file, or None without one, and its (perhaps empty) content.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False, inline_comment_prefixes=(";",))
    for path in _config_candidates(environ, cwd):
        if path.is_file():
            try:
                parser.read(path, encoding="utf-8")
            except configparser.Error:
                # Ansible reports a broken file better than we could, with line and column.
                return path, configparser.ConfigParser()
            return path, parser
    return None, parser


def _config_candidates(environ: Mapping[str, str], cwd: Path) -> list[Path]:
    if named := environ.get("ANSIBLE_CONFIG"):
        path = Path(named).expanduser()
        return [path / "ansible.cfg" if path.is_dir() else path]
    # Ansible ignores the ansible.cfg of a folder that everybody may write to, so we must as well.
    safe = not cwd.stat().st_mode & stat.S_IWOTH
    return [
        *([cwd / "ansible.cfg"] if safe else []),
        Path("~/.ansible.cfg").expanduser(),
        Path("/etc/ansible/ansible.cfg"),
    ]


def run_environment(environ: Mapping[str, str], cwd: Path, root: Path | None) -> dict[str, str]:
    """Build what a run needs on top of the environment.

    The environment wins over ansible.cfg, and ansible.cfg over the defaults of the driver.

    Args:
        environ: The environment of the driver.
        cwd: The working directory of the run.
        root: The folder that holds the collection, from `collection_root`.

    Returns:
        The variables to add, none of which is a secret.
    """
    file, config = ansible_config(environ, cwd)
    added = {
        name: config.get(section, key, fallback=default)
        for name, section, key, default in SETTINGS
        if name not in environ
    }
    added["ANSIBLE_COLLECTIONS_PATH"] = _collections_path(environ, file, config, root)
    # The driver colours its own output; escape codes inside messages would only spoil it.
    added |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    scripts = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    added["PATH"] = os.pathsep.join(dict.fromkeys([*scripts, environ.get("PATH", os.defpath)]))
    if locale.getpreferredencoding(do_setlocale=False).lower().replace("-", "") != "utf8":
        # Ansible refuses to start in a locale that is not UTF-8.
        added["LC_ALL"] = "C.UTF-8"
    return added


def _collections_path(
    environ: Mapping[str, str], file: Path | None, config: configparser.ConfigParser, root: Path | None
) -> str:
    if named := environ.get("ANSIBLE_COLLECTIONS_PATH"):
        paths = named.split(os.pathsep)
        if any((Path(path).expanduser() / COLLECTION).is_dir() for path in paths):
            # Somebody points at another copy of the collection on purpose.
            return named
    elif file and (configured := config.get("defaults", "collections_path", fallback="")):
        paths = [str(file.parent / Path(path.strip()).expanduser()) for path in configured.split(os.pathsep)]
    else:
        paths = list(DEFAULT_COLLECTION_PATHS)
    return os.pathsep.join(dict.fromkeys([*([str(root)] if root else []), *paths]))
