# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users get works: from a checkout, from the collection's tarball and from the driver's wheel."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import json
import os
import re
import sys
import sysconfig
import tarfile
import textwrap
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from conftest import Shell

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTION = Path("ansible_collections/llmops/serving")
# What the collection is made of; the wheel and the tarball carry the same.
PARTS = ("meta", "playbooks", "plugins", "roles")
VERBS = ("plan", "remove", "site", "verify")
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir() if path.is_dir())
LEFTOVERS = re.compile(
    r"(^|/)(__pycache__|\.git|\.venv|\.cache|\.[a-z]+_cache|\.ansible|\.molecule)(/|$)|\.(pyc|retry|orig|bak)$|~$"
)

# Everything that may lie at the top of the tarball. A list of what must not would never be complete.
TARBALL = {
    "CHANGELOG.md",
    "CHANGELOG.rst",
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.md",
    "changelogs",
    "docs",
    "meta",
    "playbooks",
    "plugins",
    "roles",
    "tests",
}

# The pip that ansible-test puts into its virtual environments.
SANITY_PIP = "24.2"
# ansible-test downloads get-pip from a site of its own; this does the same with a wheel that pip fetched as usual.
GET_PIP = '''\
"""Install pip from the wheel beside this file, as get-pip would."""

import os
import runpy
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "pip-{version}-py3-none-any.whl"))
options = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.argv = ["pip", "install", "--no-index", "--find-links", here] + options
runpy.run_module("pip", run_name="__main__", alter_sys=True)
'''
# Plugins that hosts run must be fit for the oldest Python that ansible-core supports there.
OLDEST = (3, 8)


def plugins(kind: str) -> list[str]:
    """Name the plugins of a kind in full, but for private ones (_name), which have no documentation of their own."""
    folder = CHECKOUT / "plugins" / kind
    return [f"llmops.serving.{path.stem}" for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")]


def files_of(folder: Path) -> Iterator[str]:
    """Give the paths of the files in a folder, as far as they belong to it."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not LEFTOVERS.search(name):
            yield name


@pytest.fixture(scope="module")
def source() -> set[str]:
    """The files of the collection in the checkout."""
    return {f"{part}/{name}" for part in PARTS for name in files_of(CHECKOUT / part)}


@pytest.fixture(scope="module")
def packed(tarball: Path) -> set[str]:
    """The paths in the tarball, those of folders too."""
    with tarfile.open(tarball) as archive:
        return set(archive.getnames())


@pytest.fixture(scope="module")
def wheeled(wheel: Path) -> set[str]:
    """The paths in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


class TestTarball:
    def test_carries_the_collection(self, packed: set[str], source: set[str]) -> None:
        assert source - packed == set()

    @pytest.mark.parametrize(
        "name",
        [
            "LICENSE",
            "README.md",
            "changelogs/config.yaml",
            "meta/runtime.yml",
            "playbooks/site.yml",
            "playbooks/tasks/serve.yml",
            "plugins/modules/server.py",
            "roles/engine/templates/server.service.j2",
            "roles/infinity/engine.yml",
            "roles/infinity/flags.json",
            "roles/llama_cpp/engine.yml",
            "roles/llama_cpp/flags.json",
        ],
    )
    def test_has(self, packed: set[str], name: str) -> None:
        assert name in packed

    def test_has_nothing_else(self, packed: set[str]) -> None:
        strangers = {name.split("/")[0] for name in packed} - TARBALL

        assert not strangers, f"name {sorted(strangers)} in build_ignore of galaxy.yml, or in TARBALL of this file"

    def test_has_only_the_tests_that_ansible_test_wants(self, packed: set[str]) -> None:
        assert {name.split("/")[1] for name in packed if name.startswith("tests/")} <= {"sanity"}

    def test_has_no_leftovers(self, packed: set[str]) -> None:
        assert not [name for name in sorted(packed) if LEFTOVERS.search(name)]

    def test_is_what_the_checkout_says(self, tarball: Path) -> None:
        with tarfile.open(tarball) as archive:
            manifest = archive.extractfile("MANIFEST.json")
            assert manifest
            info = json.load(manifest)["collection_info"]

        galaxy = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))
        assert {key: info[key] for key in ("namespace", "name", "version", "license_file", "readme")} == {
            key: galaxy[key] for key in ("namespace", "name", "version", "license_file", "readme")
        }
        assert info["dependencies"] == {}, "hosts without a way to Galaxy could not install it"

    @pytest.mark.parametrize("verb", VERBS)
    def test_playbook_works_by_name(self, installed_shell: Shell, installed: Path, inventory: Path, verb: str) -> None:
        checked = installed_shell("ansible-playbook", f"llmops.serving.{verb}", "-i", inventory, "--syntax-check")

        assert f"playbook: {installed / COLLECTION}/playbooks/{verb}.yml" in checked.stdout
        assert not warnings(checked)

    def test_site_has_its_parts(self, installed_shell: Shell, inventory: Path) -> None:
        done = installed_shell("ansible-playbook", "llmops.serving.site", "-i", inventory, "--list-tasks")

        order = [done.stdout.find(f"{role} : ") for role in ("preflight", "docker", "models", "engine")]
        assert -1 not in order, done.stdout
        assert order == sorted(order), done.stdout
        assert not warnings(done)

    @pytest.mark.parametrize(("kind", "folder"), [("module", "modules"), ("filter", "filter")])
    def test_documentation_renders(self, installed_shell: Shell, installed: Path, kind: str, folder: str) -> None:
        names = plugins(folder)
        done = installed_shell("ansible-doc", "-t", kind, *names)

        shown = set(re.findall(r"^> [A-Z]+ (llmops\.serving\.\w+) \((.+)\)$", done.stdout, re.MULTILINE))
        assert shown == {
            (name, f"{installed / COLLECTION}/plugins/{folder}/{name.split('.')[-1]}.py") for name in names
        }
        assert not warnings(done)

    @pytest.mark.parametrize("role", ROLES)
    def test_documentation_of_role_renders(self, installed_shell: Shell, installed: Path, role: str) -> None:
        done = installed_shell("ansible-doc", "-t", "role", f"llmops.serving.{role}")

        specs = yaml.safe_load((CHECKOUT / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
        main = specs["argument_specs"]["main"]
        # ansible-doc marks names with * where it may not colour them.
        assert f"> ROLE: *llmops.serving.{role}* ({installed / COLLECTION})" in done.stdout
        assert main["short_description"] in " ".join(done.stdout.split())
        assert [name for name in main.get("options") or {} if name not in done.stdout] == []
        assert not warnings(done)

    def test_documentation_is_whole(self, installed_shell: Shell) -> None:
        done = installed_shell("ansible-doc", "-t", "module", "--json", *plugins("modules"))

        documented = json.loads(done.stdout)
        assert sorted(documented) == plugins("modules")
        for name, doc in documented.items():
            assert doc.get("examples"), f"{name} shows no example"
            assert doc.get("return"), f"{name} does not say what it returns"
            assert doc["doc"]["version_added"] == "0.1.0", name


class TestCheckout:
    @pytest.mark.parametrize("verb", VERBS)
    def test_playbook_works_by_name(self, checkout_shell: Shell, verb: str) -> None:
        playbook = ("ansible-playbook", f"llmops.serving.{verb}", "-i", "inventories/cpu")
        checked = checkout_shell(*playbook, "--syntax-check")

        assert f"playbook: {CHECKOUT}/.collections/{COLLECTION}/playbooks/{verb}.yml" in checked.stdout
        assert not warnings(checked)

    @pytest.mark.parametrize("place", ["cpu", "gpu"])
    def test_playbook_works_by_file(self, checkout_shell: Shell, place: str) -> None:
        checked = checkout_shell("ansible-playbook", "site.yml", "-i", f"inventories/{place}", "--syntax-check")

        assert "playbook: site.yml" in checked.stdout
        assert not warnings(checked)

    def test_playbook_by_file_is_the_one_by_name(self, checkout_shell: Shell) -> None:
        by_file, by_name = (
            checkout_shell("ansible-playbook", playbook, "-i", "inventories/cpu", "--list-tasks").stdout
            for playbook in ("site.yml", "llmops.serving.site")
        )

        def steps(listed: str) -> list[str]:
            return [line.split("TAGS")[0].strip() for line in listed.splitlines() if " : " in line]

        assert steps(by_file)
        assert steps(by_file) == steps(by_name)

    def test_changelog_is_in_order(self, checkout_shell: Shell) -> None:
        checkout_shell("antsibull-changelog", "lint")

    def test_no_copy_of_the_collection_comes_with_an_editable_install(self) -> None:
        folders = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
        copies = [str(path) for folder in folders for path in Path(folder).glob("ansible_collections/llmops")]

        assert not copies, "remove this, then `pip install --editable .`"

    def test_versions_agree(self) -> None:
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        galaxy = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))

        assert project["version"] == galaxy["version"]


class TestWheel:
    def test_carries_the_collection(self, wheeled: set[str], source: set[str]) -> None:
        carried = {name.removeprefix(f"{COLLECTION}/") for name in wheeled if name.startswith(f"{COLLECTION}/")}

        assert carried == source | {"galaxy.yml"}

    @pytest.mark.parametrize("folder", ["inventories", "llmops_serving"])
    def test_carries(self, wheeled: set[str], folder: str) -> None:
        inside = "llmops_serving/inventories" if folder == "inventories" else folder
        files = {f"{inside}/{name}" for name in files_of(CHECKOUT / folder)}

        assert files
        assert files - wheeled == set()

    @pytest.mark.parametrize(
        "name",
        [
            "llmops_serving/inventories/cpu/hosts.yml",
            "llmops_serving/inventories/lab/group_vars/serving.yml",
            "llmops_serving/lab/assets/host.sh",
            "llmops_serving/py.typed",
        ],
    )
    def test_has(self, wheeled: set[str], name: str) -> None:
        assert name in wheeled

    def test_has_nothing_else(self, wheeled: set[str]) -> None:
        version = importlib.metadata.version("llmops-serving")
        tops = {name.split("/")[0] for name in wheeled}

        assert tops == {"ansible_collections", "llmops_serving", f"llmops_serving-{version}.dist-info"}
        assert not [name for name in sorted(wheeled) if LEFTOVERS.search(name)]

    def test_command_is_installed(self, wheel_shell: Shell) -> None:
        galaxy = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))

        assert wheel_shell("llmops", "--version").stdout.strip() == f"llmops {galaxy['version']}"

    def test_driver_and_inventories_are_those_of_the_wheel(self, wheel_shell: Shell, wheel_venv: Path) -> None:
        code = """
            from llmops_serving import paths
            print(paths.PACKAGE, paths.collection_root(), paths.bundled_inventory("lab"), sep="\\n")
        """
        package, root, lab = map(Path, wheel_shell("python", "-c", textwrap.dedent(code)).stdout.split())

        assert wheel_venv in package.parents
        assert root == package.parent
        assert lab == package / "inventories/lab"

    def test_collection_is_that_of_the_wheel(self, wheel_shell: Shell, wheel_venv: Path) -> None:
        shown = wheel_shell("ansible-doc", "-t", "module", "llmops.serving.server").stdout
        found = re.search(r"^> MODULE llmops\.serving\.server \((.+)\)$", shown, re.MULTILINE)

        assert found
        assert wheel_venv in Path(found[1]).parents

    @pytest.mark.parametrize("verb", VERBS)
    def test_playbook_works_by_name(self, wheel_shell: Shell, wheel_venv: Path, inventory: Path, verb: str) -> None:
        done = wheel_shell("ansible-playbook", f"llmops.serving.{verb}", "-i", inventory, "--syntax-check")

        found = re.search(rf"^playbook: (.+)/{COLLECTION}/playbooks/{verb}\.yml$", done.stdout, re.MULTILINE)
        assert found, done.stdout
        assert wheel_venv in Path(found[1]).parents
        assert not warnings(done)


def warnings(done: subprocess.CompletedProcess[str]) -> str:
    """Give what Ansible complained about, the usual sign that it showed less than it should."""
    return "\n".join(line for line in done.stderr.splitlines() if line.strip())


@pytest.mark.parametrize("folder", ["modules", "module_utils"])
def test_syntax_fits_old_hosts(installed: Path, folder: str) -> None:
    for path in sorted((installed / COLLECTION / "plugins" / folder).glob("*.py")):
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=OLDEST)


def write_pip_settings(file: Path, shell: Shell) -> None:
    """Write down the user's settings of pip, which may come from files and variables, readable to the user only."""
    settings: dict[str, dict[str, str]] = {"global": {}}
    variables: dict[str, str] = {}
    for line in shell(sys.executable, "-m", "pip", "config", "list").stdout.splitlines():
        key, value = line.split("=", 1)
        text = str(ast.literal_eval(value))
        if key.startswith(":env:."):
            variables[key.removeprefix(":env:.")] = text
        else:
            section, option = key.split(".", 1)
            settings.setdefault(section, {})[option] = text
    for option, name in (("cert", "REQUESTS_CA_BUNDLE"), ("proxy", "HTTPS_PROXY"), ("proxy", "https_proxy")):
        if os.environ.get(name):
            settings["global"].setdefault(option, os.environ[name])
    # A variable counts for every command of pip and wins over files.
    settings["global"] |= variables

    parser = configparser.RawConfigParser()
    parser.read_dict(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    with file.open("w", encoding="utf-8") as stream:
        parser.write(stream)


@pytest.fixture(scope="module")
def sanity_shell(installed: Path, scripts: Path, checkout_shell: Shell) -> Iterator[Shell]:
    """A shell in the installed collection with a home of its own, whose virtual environments the next run uses again.

    ansible-test hands on nothing but HOME and PATH, so pip finds its settings in that home only.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    home = cache / "llmops-serving-sanity"
    bootstrap = home / ".ansible/test/cache"
    bootstrap.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    if not (bootstrap / f"pip-{SANITY_PIP}-py3-none-any.whl").is_file():
        fetch = (sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", bootstrap)
        checkout_shell(*fetch, f"pip=={SANITY_PIP}")
    stand_in = bootstrap / f"get_pip_{SANITY_PIP.replace('.', '_')}.py"
    stand_in.write_text(GET_PIP.format(version=SANITY_PIP), encoding="utf-8")
    oldest = oldest_python()
    path = [str(scripts), *([str(oldest.parent)] if oldest else []), "/usr/local/bin", "/usr/bin", "/bin"]
    environ = {name: value for name, value in checkout_shell.environ.items() if not name.startswith("ANSIBLE_")}
    pip_settings = home / ".config/pip/pip.conf"
    write_pip_settings(pip_settings, checkout_shell)
    yield replace(
        checkout_shell,
        cwd=installed / COLLECTION,
        environ=environ | {"HOME": str(home), "PATH": os.pathsep.join(path)},
    )
    # The address of an index may hold a password.
    pip_settings.unlink()


def oldest_python() -> Path | None:
    """Find the oldest Python that hosts may have, on the path or among those of pyenv."""
    name = f"python{OLDEST[0]}.{OLDEST[1]}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser())
    for folder in (*map(Path, os.get_exec_path()), *sorted(pyenv.glob(f"versions/{OLDEST[0]}.{OLDEST[1]}.*/bin"))):
        # A shim is there even where the Python behind it is not active.
        if folder.name != "shims" and os.access(folder / name, os.X_OK):
            return folder / name
    return None


def sanity(shell: Shell, version: str, *options: str) -> list[str]:
    """Run ansible-test's sanity tests, and give what it said about them.

    What pip says on the way is left out: it is long, and it names the index, whose address may hold a password.
    """
    done = shell("ansible-test", "sanity", "--local", "--python", version, "--color", "no", *options, check=False)
    output = done.stdout + done.stderr
    said = re.findall(r"^(?:ERROR|FATAL|Running sanity test|WARNING: Skipping).*(?:\n[a-z-]+$)*", output, re.MULTILINE)
    if done.returncode:
        # Without a verdict something else went wrong, and only the whole output tells what.
        verdicts = [line for line in said if line.startswith(("ERROR", "FATAL"))]
        pytest.fail("\n".join(verdicts) or output, pytrace=False)
    return said


def test_sanity(sanity_shell: Shell) -> None:
    said = sanity(sanity_shell, f"{sys.version_info.major}.{sys.version_info.minor}")

    # A test that did not run shows nothing.
    assert [line for line in said if line.startswith("WARNING")] == []
    for test in ("ansible-doc", "changelog", "compile", "import", "no-assert", "pylint", "validate-modules"):
        assert [line for line in said if line.startswith(f'Running sanity test "{test}"')], test


def test_sanity_on_oldest_python(sanity_shell: Shell) -> None:
    version = ".".join(map(str, OLDEST))
    if not oldest_python():
        pytest.skip(f"no python{version} on this machine")
    said = sanity(sanity_shell, version, "--test", "compile", "--test", "import")

    assert [line for line in said if line.startswith("Running")] == [
        f'Running sanity test "{test}" on Python {version}' for test in ("compile", "import")
    ]
