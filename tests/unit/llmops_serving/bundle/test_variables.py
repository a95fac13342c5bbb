# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables send each image and each model to the bundle, and say nothing that they need not say."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils._registry_names import parse_reference
from ansible_collections.llmops.serving.plugins.plugin_utils._images import mirrored
from llmops_serving.bundle.variables import Served, document, place_of, registry_place, variables, words_of

if TYPE_CHECKING:
    from llmops_serving.bundle.document import Bundle

PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {dest: "{{ out }}/{{ inventory_hostname }}", content: "{{ models_wanted | to_json }}"}
"""
INVENTORY = """\
all:
  vars: {ansible_connection: local}
  hosts:
    one:
      serving_models: {afar: {url: "https://files.example/x.gguf", sha256: "1"}, other: {repo: a/b, revision: "2"}}
    two:
      serving_models: {other: {repo: a/b, revision: "2"}}
    three: {}
"""


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ("ghcr.io", "ghcr.io"),
        ("registry.lab:5000", "registry.lab-5000"),
        ("Registry.Example", "registry.example"),
        ("[fd00::1]:5000", "fd00-1-5000"),
        ("localhost", "localhost"),
    ],
)
def test_a_registry_is_the_first_part_of_a_name(registry: str, expected: str) -> None:
    assert registry_place(registry) == expected
    # It must be one that Docker takes.
    assert parse_reference(f"bundle.example:8443/{expected}/org/app:v1").name == f"{expected}/org/app"


def test_an_image_is_where_the_mirror_sends_it(bundle: Bundle) -> None:
    registries = variables(bundle, Served(registry="bundle.example:8443"))["serving_registries"]
    for image in bundle.images:
        found = mirrored(image.name, registries)
        assert (found.registry, found.name) == ("bundle.example:8443", place_of(image.name))


@pytest.mark.parametrize(
    ("served", "words"),
    [
        (Served(), set()),
        (Served(registry="b:1"), {"serving_registries"}),
        (Served(registry="b:1", ca="PEM"), {"serving_registries", "serving_ca"}),
        (
            Served(hub="https://b:1"),
            {"serving_hub_url", "serving_hub_token", "bundle_addresses", "models_wanted", "preflight_models"},
        ),
    ],
)
def test_only_what_is_served_is_said(bundle: Bundle, served: Served, words: set[str]) -> None:
    assert set(variables(bundle, served)) == words


def test_models_at_addresses_are_said_where_there_are_some(bundle: Bundle) -> None:
    rest = [model for model in bundle.models if model.kind != "url"]
    assert words_of(rest) == ("serving_hub_url", "serving_hub_token", "serving_registries", "serving_ca")
    assert words_of(bundle.models)[-2:] == ("models_wanted", "preflight_models")


def test_the_file_is_read_as_it_was_meant(bundle: Bundle) -> None:
    words = variables(bundle, Served(hub="https://b:1", registry="b:1", ca="-----BEGIN\nabc\n-----END\n"))
    text = document(words, "/media/bundle-vars.yml")
    assert yaml.safe_load(text) == words
    assert "serving_ca: |\n" in text
    assert "-e @/media/bundle-vars.yml" in text


def test_ansible_combines_addresses_with_what_each_host_wants(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")
    (tmp_path / "hosts.yml").write_text(INVENTORY, encoding="utf-8")
    words = variables(bundle, Served(hub="https://b:1"))
    (tmp_path / "vars.yml").write_text(document(words, "vars.yml"), encoding="utf-8")
    program = Path(sysconfig.get_path("scripts"), "ansible-playbook")
    command: list[str | Path] = [program, "-i", "hosts.yml", "-e", "@vars.yml", "-e", f"out={tmp_path}"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", "play.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    one, two, three = (json.loads((tmp_path / host).read_text()) for host in ("one", "two", "three"))
    assert one["afar"] == {"url": words["bundle_addresses"]["afar"]["url"], "sha256": "1"}
    assert one["other"] == two["other"] == {"repo": "a/b", "revision": "2"}
    assert list(two) == ["other"]
    assert three == {}
