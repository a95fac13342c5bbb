# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checkout is importable as llmops.serving through links; a frozen copy would hide every later change."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTION = CHECKOUT / ".collections/ansible_collections/llmops/serving"
LINKS = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")


@pytest.mark.parametrize("name", LINKS)
def test_entry_is_a_relative_link_into_the_checkout(name: str) -> None:
    link = COLLECTION / name

    assert link.is_symlink(), (
        f"{link} is no link: a tool put a copy there. `git checkout -- .collections` brings it back."
    )
    assert str(link.readlink()) == f"../../../../{name}", f"{link} must not depend on where the checkout lies"
    assert link.resolve(strict=True) == CHECKOUT / name


def test_nothing_else_lies_beside_the_links() -> None:
    # molecule's prerun and `ansible-galaxy collection install` write MANIFEST.json, FILES.json and copies.
    assert sorted(entry.name for entry in COLLECTION.iterdir()) == sorted(LINKS)


def test_folders_on_the_way_are_real() -> None:
    way = [COLLECTION, *COLLECTION.parents]

    assert not [folder for folder in way[: way.index(CHECKOUT)] if folder.is_symlink()]


def test_ansible_finds_the_links_first() -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read(CHECKOUT / "ansible.cfg", encoding="utf-8")

    assert config.get("defaults", "collections_path").split(":")[0] == ".collections"


def molecule_configs() -> list[Path]:
    return [CHECKOUT / ".config/molecule/config.yml", *sorted(CHECKOUT.glob("molecule/*/molecule.yml"))]


@pytest.mark.parametrize("path", molecule_configs(), ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_molecule_never_replaces_the_links(path: Path) -> None:
    config = yaml.safe_load(path.read_text(encoding="utf-8")) or {}

    if path.parent.name == "molecule" and path.name == "config.yml":
        # The default is true, so saying nothing is wrong here.
        assert config.get("prerun") is False
    else:
        assert config.get("prerun", False) is False, "a scenario must not turn on again what the base config turns off"
