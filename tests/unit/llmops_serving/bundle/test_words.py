# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an inventory needs is what Ansible makes of it, templates, defaults and all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from llmops_serving import Site
from llmops_serving.bundle.words import Source, read_inventory, wanted_by
from llmops_serving.errors import DriverError

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "1" * 40
INVENTORY = """\
serving:
  hosts:
    cpu1.example: {ansible_host: 192.0.2.7}
    gpu1.example:
      ansible_host: 192.0.2.8
      serving_accelerator: cuda
      serving_registries: {ghcr.io: "mirror.example:5000/ghcr"}
      docker_daemon_options: {insecure-registries: ["mirror.example:5000"]}
  vars:
    ansible_become: true
    owner: org
    serving_hub_url: https://hub.example
    serving_hub_token: "{{ lookup('ansible.builtin.file', token_file) }}"
    serving_models:
      small: {repo: "{{ owner }}/small", revision: "1111111111111111111111111111111111111111", file: small.gguf}
    serving_servers:
      - {name: chat, engine: llama_cpp, model: small, port: 8001, api_key: ["k3y"]}
"""


def answer(host: str = "h1", **changed: Any) -> dict[str, Any]:
    """Give what a host needs."""
    found: dict[str, Any] = {
        "host": host,
        "problems": [],
        "images": ["ghcr.io/org/app:v1"],
        "registries": {},
        "insecure": [],
        "models": {"x": {"repo": "org/x", "revision": COMMIT}},
        "hub_url": "https://hub.example/",
        "token": "",
    }
    return found | changed


def test_an_inventory_is_read_by_ansible(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(INVENTORY, encoding="utf-8")
    (tmp_path / "token").write_text("hf_s3cret", encoding="utf-8")
    site = Site(tmp_path / "hosts.yml", extra_vars={"token_file": str(tmp_path / "token")})
    wanted = read_inventory(site)
    assert wanted.hosts == ("cpu1.example", "gpu1.example")
    assert [(spec.repo, spec.files) for spec in wanted.specs] == [("org/small", ("small.gguf",))]
    assert list(wanted.models) == [Source("https://hub.example", "hf_s3cret")]
    assert "s3cret" not in repr(wanted)
    found = {str(image.own).partition(":")[0]: (image.source.registry, image.insecure) for image in wanted.images}
    assert found == {
        "ghcr.io/ggml-org/llama.cpp": ("mirror.example:5000", True),
        # What proves that containers see the GPUs.
        "docker.io/library/debian": ("docker.io", False),
    }
    # One for the CPU and one for CUDA, each by its own name.
    assert len([image for image in wanted.images if "llama.cpp" in image.own.name]) == 2


def test_what_is_wrong_with_an_inventory_is_told(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(INVENTORY.replace("port: 8001", "prot: 8001"), encoding="utf-8")
    site = Site(tmp_path / "hosts.yml", extra_vars={"serving_hub_token": ""})
    with pytest.raises(DriverError, match=r"serving_servers\['chat'\]: prot: is no word of a server"):
        read_inventory(site)
    missing = Site(tmp_path / "hosts.yml", extra_vars={"token_file": str(tmp_path / "nowhere")})
    with pytest.raises(DriverError, match="nowhere"):
        read_inventory(missing)


def test_hosts_share_what_they_share() -> None:
    wanted = wanted_by([answer("h2"), answer("h1", images=["ghcr.io/org/app:v1", "docker.io/library/tool:v2"])])
    assert wanted.hosts == ("h1", "h2")
    assert len(wanted.specs) == 1
    assert [str(image.own) for image in wanted.images] == ["ghcr.io/org/app:v1", "docker.io/library/tool:v2"]


def test_two_hubs_and_two_versions_are_no_clash() -> None:
    other = answer("h2", hub_url="https://other.example", models={"x": {"repo": "org/x", "revision": "2" * 40}})
    wanted = wanted_by([answer("h1"), other])
    assert [source.url for source in wanted.models] == ["https://hub.example", "https://other.example"]
    assert [spec.revision[0] for spec in wanted.specs] == ["1", "2"]


def test_a_host_without_models_needs_no_hub() -> None:
    assert wanted_by([answer(models={})]).models == {}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"problems": ["serving_servers: is wrong"]}, "serving_servers: is wrong"),
        ({"models": {"x": {"repo": "org/x", "revision": "main"}}}, r"serving_models\['x'\].revision"),
        ({"hub_url": "ftp://hub.example"}, "serving_hub_url"),
        ({"models": {"x": {"repo": "org/x", "revision": COMMIT, "allow_pickle": True}}}, "mean different things"),
        ({"models": {"x": {"url": "https://files.example/x.gguf", "sha256": "a" * 64}}}, "mean different things"),
    ],
)
def test_problems(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(DriverError, match=says):
        wanted_by([answer("h1"), answer("h2", **changed)])
