# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a run finds the collection and its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops_serving.paths import COLLECTION, bundled_inventory, collection_root, run_environment


def make_collection(root: Path) -> Path:
    (root / COLLECTION / "playbooks").mkdir(parents=True)
    return root


def environment(environ: dict[str, str], cwd: Path, root: Path | None = None) -> dict[str, str]:
    # A user's own ~/.ansible.cfg must not decide a test.
    return run_environment({"ANSIBLE_CONFIG": str(cwd / "ansible.cfg"), **environ}, cwd, root)


def test_the_collection_of_this_checkout_is_found() -> None:
    root = collection_root()

    assert root is not None
    assert (root / COLLECTION / "galaxy.yml").is_file()


@pytest.mark.parametrize("place", [".collections", "."])
def test_a_checkout_and_site_packages_carry_the_collection(tmp_path: Path, place: str) -> None:
    make_collection(tmp_path / place)

    assert collection_root(tmp_path / "llmops_serving") == tmp_path / place


def test_no_collection_beside_the_package(tmp_path: Path) -> None:
    assert collection_root(tmp_path / "llmops_serving") is None


@pytest.mark.parametrize("place", ["inventories", "llmops_serving/inventories"])
def test_inventories_of_a_checkout_and_of_the_wheel(tmp_path: Path, place: str) -> None:
    (tmp_path / place / "lab").mkdir(parents=True)

    assert bundled_inventory("lab", tmp_path / "llmops_serving") == tmp_path / place / "lab"


def test_our_collection_comes_first_and_ansibles_places_stay(tmp_path: Path) -> None:
    paths = environment({}, tmp_path, Path("/x"))["ANSIBLE_COLLECTIONS_PATH"].split(":")

    assert paths == ["/x", "~/.ansible/collections", "/usr/share/ansible/collections"]


def test_places_of_the_environment_stay_behind_ours(tmp_path: Path) -> None:
    added = environment({"ANSIBLE_COLLECTIONS_PATH": "/other"}, tmp_path, Path("/x"))

    assert added["ANSIBLE_COLLECTIONS_PATH"] == "/x:/other"


def test_another_copy_named_by_the_environment_wins(tmp_path: Path) -> None:
    other = str(make_collection(tmp_path / "other"))
    added = environment({"ANSIBLE_COLLECTIONS_PATH": other}, tmp_path, Path("/x"))

    assert added["ANSIBLE_COLLECTIONS_PATH"] == other


def test_places_of_ansible_cfg_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text("[defaults]\ncollections_path = .collections:/usr/share/y\n")
    added = environment({}, tmp_path, Path("/x"))

    assert added["ANSIBLE_COLLECTIONS_PATH"] == f"/x:{tmp_path}/.collections:/usr/share/y"


@pytest.mark.parametrize(
    ("config", "environ", "expected"),
    [
        ("", {}, "True"),
        ("[defaults]\nhost_key_checking = false\n", {}, "false"),
        ("[defaults]\nhost_key_checking = false\n", {"ANSIBLE_HOST_KEY_CHECKING": "yes"}, None),
        ("no ini at all", {}, "True"),
    ],
)
def test_environment_wins_over_ansible_cfg_and_that_over_our_default(
    tmp_path: Path, config: str, environ: dict[str, str], expected: str | None
) -> None:
    (tmp_path / "ansible.cfg").write_text(config)

    assert environment(environ, tmp_path).get("ANSIBLE_HOST_KEY_CHECKING") == expected


def test_an_ansible_cfg_that_everybody_may_write_is_ignored_as_ansible_does(tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text("[defaults]\nforks = 3\n")
    assert run_environment({}, tmp_path, None)["ANSIBLE_FORKS"] == "3"
    tmp_path.chmod(0o777)
    assert run_environment({}, tmp_path, None)["ANSIBLE_FORKS"] != "3"


def test_ansible_is_found_without_an_activated_environment(tmp_path: Path) -> None:
    first = environment({"PATH": "/usr/bin"}, tmp_path)["PATH"].split(":")[0]

    assert (Path(first) / "ansible-playbook").exists()
