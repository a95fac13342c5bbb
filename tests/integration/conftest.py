# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users install, built once per run: the collection's tarball and the driver's wheel."""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTION = Path("ansible_collections/llmops/serving")

INVENTORY = """\
serving:
  hosts:
    host1.example:
  vars:
    serving_models:
      tiny-chat:
        url: https://files.example/tiny-chat.gguf
        sha256: "{sha256}"
    serving_servers:
      - {{name: chat, engine: llama_cpp, model: tiny-chat, port: 8001}}
"""


@dataclass(frozen=True)
class Shell:
    """Runs commands in one folder with one environment, in which nothing of the user's own Ansible is left."""

    cwd: Path
    environ: Mapping[str, str]

    def __call__(self, *argv: str | Path, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command; unless told otherwise, one that fails fails the test with all it said."""
        words = [str(word) for word in argv]
        done = subprocess.run(  # noqa: S603 - the words come from the tests themselves
            words, cwd=self.cwd, env=dict(self.environ), text=True, capture_output=True, timeout=timeout, check=False
        )
        if check and done.returncode:
            pytest.fail(
                f"{shlex.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}", pytrace=False
            )
        return done


def clean_environment(home: Path, *folders: Path, **added: str) -> dict[str, str]:
    """Give the environment of a user who has set nothing for Ansible or Python.

    Args:
        home: Ansible's own home, in which no collection is installed.
        folders: What to look for commands in, before the folders of the system.
        added: Further variables.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "PYTHON", "MOLECULE_", "LLMOPS_")) and name != "VIRTUAL_ENV"
    }
    # A version manager's shims would start another Python than the one meant.
    path = [*map(str, folders), *(entry for entry in os.get_exec_path() if Path(entry).name != "shims")]
    return kept | {
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join(path),
        **added,
    }


@pytest.fixture(scope="session")
def scripts() -> Path:
    """The folder with the commands of the environment that runs the tests."""
    return Path(sysconfig.get_path("scripts"))


@pytest.fixture(scope="session")
def empty_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of Ansible that says nothing, so that the machine's own is not read."""
    path = tmp_path_factory.mktemp("config") / "ansible.cfg"
    path.touch()
    return path


@pytest.fixture(scope="session")
def checkout_shell(tmp_path_factory: pytest.TempPathFactory, scripts: Path) -> Shell:
    """A shell in the checkout."""
    return Shell(CHECKOUT, clean_environment(tmp_path_factory.mktemp("home"), scripts))


@pytest.fixture(scope="session")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small inventory of a user."""
    path = tmp_path_factory.mktemp("inventory") / "hosts.yml"
    path.write_text(INVENTORY.format(sha256="0" * 64), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory, checkout_shell: Shell) -> Path:
    """The collection as `ansible-galaxy collection build` packs it."""
    folder = tmp_path_factory.mktemp("tarball")
    checkout_shell("ansible-galaxy", "collection", "build", "--output-path", folder)
    (path,) = folder.glob("llmops-serving-*.tar.gz")
    return path


@pytest.fixture(scope="session")
def installed_shell(
    tmp_path_factory: pytest.TempPathFactory, tarball: Path, scripts: Path, empty_config: Path
) -> Shell:
    """A shell in an empty folder of a user who installed the tarball, without a network, and no other collection."""
    environ = clean_environment(
        tmp_path_factory.mktemp("home"),
        scripts,
        ANSIBLE_COLLECTIONS_PATH=str(tmp_path_factory.mktemp("collections")),
        ANSIBLE_CONFIG=str(empty_config),
    )
    shell = Shell(tmp_path_factory.mktemp("empty"), environ)
    folder = environ["ANSIBLE_COLLECTIONS_PATH"]
    # By force, because ansible-galaxy installs nothing where it finds the same version in any place, site-packages too.
    shell("ansible-galaxy", "collection", "install", "--offline", "--force", "-p", folder, tarball)
    return shell


@pytest.fixture(scope="session")
def installed(installed_shell: Shell) -> Path:
    """The folder with collections into which the tarball was installed."""
    return Path(installed_shell.environ["ANSIBLE_COLLECTIONS_PATH"])


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory, checkout_shell: Shell) -> Path:
    """The driver as `python -m build` packs it."""
    folder = tmp_path_factory.mktemp("wheel")
    checkout_shell(sys.executable, "-m", "build", "--wheel", "--outdir", folder)
    (path,) = folder.glob("llmops_serving-*.whl")
    return path


@pytest.fixture(scope="session")
def wheel_venv(tmp_path_factory: pytest.TempPathFactory, wheel: Path, checkout_shell: Shell) -> Path:
    """A virtual environment with the wheel, which borrows the dependencies of the one that runs the tests.

    Downloading them again would take a minute and show nothing about the wheel.
    """
    folder = tmp_path_factory.mktemp("wheel-venv")
    checkout_shell(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin/python"
    checkout_shell(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    site_packages = Path(
        checkout_shell(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    )
    # A .pth file adds folders at the end and does not follow the .pth files inside them, so neither the checkout's
    # editable driver nor a collection of that environment can come before those of the wheel.
    borrowed = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (site_packages / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    for entry in importlib.metadata.distribution("ansible-core").entry_points.select(group="console_scripts"):
        script = folder / "bin" / entry.name
        script.write_text(f"#!{python}\nfrom {entry.module} import {entry.attr}\n{entry.attr}()\n", encoding="utf-8")
        script.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def wheel_shell(tmp_path_factory: pytest.TempPathFactory, wheel_venv: Path, empty_config: Path) -> Shell:
    """A shell in an empty folder of a user who installed the wheel and configured nothing."""
    environ = clean_environment(tmp_path_factory.mktemp("home"), wheel_venv / "bin", ANSIBLE_CONFIG=str(empty_config))
    return Shell(tmp_path_factory.mktemp("empty"), environ)
