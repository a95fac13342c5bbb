# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle is checked before anything else, and the variables say where it is served and whom to trust."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils._model_apply import Fetcher
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient, HttpError
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from llmops_serving.bundle.load import Listen, Options, load_bundle
from llmops_serving.bundle.push import Target
from llmops_serving.bundle.tls import ensure_tls
from llmops_serving.errors import DriverError, UsageError
from tests.unit.llmops_serving.bundle.conftest import REVISION, bars, said, served
from tests.unit.plugins.fake_registry import Registry, serve

if TYPE_CHECKING:
    from pathlib import Path

    from llmops_serving.bundle.load import Loaded


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("127.0.0.1:9000", "", Listen("127.0.0.1", 9000, "127.0.0.1")),
        ("127.0.0.1:0", "", Listen("127.0.0.1", 0, "127.0.0.1")),
        ("10.0.0.5", "", Listen("10.0.0.5", 8443, "10.0.0.5")),
        ("bundle.example:8443", "", Listen("bundle.example", 8443, "bundle.example")),
        ("0.0.0.0:8443", "bundle.example", Listen("0.0.0.0", 8443, "bundle.example")),  # noqa: S104
    ],
)
def test_where_to_listen(text: str, name: str, expected: Listen) -> None:
    assert Listen.parse(text, name) == expected


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("0.0.0.0:8443", "", "add --name"),
        (":8443", "", "write an IPv4 address or a name"),
        ("[::1]:8443", "", "write an IPv4 address or a name"),
        ("10.0.0.5:http", "", "write ADDRESS:PORT"),
        ("10.0.0.5:99999", "", "write ADDRESS:PORT"),
        ("0.0.0.0:8443", "fd00::1", "write an IPv4 address or a name"),
    ],
)
def test_where_not_to_listen(text: str, name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Listen.parse(text, name)


def test_who_is_this_machine() -> None:
    assert [Listen.parse(text).local for text in ("127.0.0.1", "localhost", "127.1.2.3", "10.0.0.5")] == [
        True, True, True, False,
    ]  # fmt: skip


def test_the_variables_say_where_and_whom_to_trust(loaded: Loaded) -> None:
    words = yaml.safe_load(loaded.variables.read_text())
    assert loaded.server is not None
    netloc = f"127.0.0.1:{loaded.server.port}"
    assert words["serving_hub_url"] == f"https://{netloc}"
    assert words["serving_hub_token"] == ""
    assert words["serving_registries"]["ghcr.io"] == f"{netloc}/ghcr.io"
    assert words["serving_registries"]["docker.io"] == f"{netloc}/docker.io"
    assert words["serving_ca"] == loaded.served.ca
    assert "PRIVATE KEY" not in loaded.variables.read_text()


def test_a_host_fetches_from_it(loaded: Loaded, tmp_path: Path) -> None:
    hub = Hub(loaded.served.hub, "", HttpClient(ca_data=loaded.served.ca))
    spec = ModelSpec("small", "file", "org/small", REVISION, ("deep/small.gguf",))
    outcome = Fetcher(Store(str(tmp_path / "store")), hub).ensure([spec])["small"]
    assert outcome.changed
    assert [file.path for file in outcome.manifest.files] == ["small.gguf"]


@pytest.mark.parametrize("name", ["model.safetensors", "config"])
def test_damage_is_found_before_anything_else(made: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(made, tmp_path / "bundle")
    path = next((tmp_path / "bundle").rglob(name))
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for registry in serve(Registry()):
        options = Options(
            tmp_path / "bundle",
            Listen("127.0.0.1", 0, "127.0.0.1"),
            tmp_path / "state",
            push=Target(f"127.0.0.1:{registry.port}"),
        )
        with pytest.raises(DriverError, match=f"{name}: has sha256"):
            load_bundle(options, bars())
        assert registry.asked == []
    assert not (tmp_path / "state").exists()


def test_images_go_to_a_registry_and_models_are_served(made: Path, tmp_path: Path) -> None:
    for registry in serve(Registry()):
        target = Target(f"127.0.0.1:{registry.port}", "mirror")
        with served(made, tmp_path / "state", push=target) as running:
            words = yaml.safe_load(running.variables.read_text())
            assert words["serving_registries"]["ghcr.io"] == f"127.0.0.1:{registry.port}/mirror/ghcr.io"
            assert words["serving_hub_url"] == running.served.hub
            client = HttpClient(ca_data=running.served.ca)
            with pytest.raises(HttpError, match="HTTP 404"):
                client.fetch(f"{running.served.hub}/v2/")
        assert "/v2/mirror/ghcr.io/org/app/manifests/v1" in registry.contents


def test_only_pushed(made: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "ca.crt").write_text("the registry's authority\n")
    for registry in serve(Registry()):
        options = Options(made, Listen("127.0.0.1", 0, "127.0.0.1"), tmp_path / "state", serve=False)
        options = replace(options, push=Target(f"127.0.0.1:{registry.port}"), ca=tmp_path / "ca.crt")
        loaded = load_bundle(options, bars())
    assert loaded.server is None
    words = yaml.safe_load(loaded.variables.read_text())
    assert set(words) == {"serving_registries", "serving_ca"}
    assert words["serving_ca"] == "the registry's authority\n"
    assert not (tmp_path / "state" / "tls").exists()


def test_a_hub_and_a_registry_of_two_authorities(made: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("the registry's authority\n")
    for registry in serve(Registry()):
        target = Target(f"127.0.0.1:{registry.port}")
        with served(made, tmp_path / "state", push=target, ca=tmp_path / "ca.crt") as running:
            told = yaml.safe_load(running.variables.read_text())["serving_ca"]
    assert told == (tmp_path / "state" / "tls" / "ca.crt").read_text() + "the registry's authority\n"
    with (
        pytest.raises(UsageError, match="--ca is the authority of"),
        served(made, tmp_path / "state", ca=tmp_path / "ca.crt"),
    ):
        pass


def test_a_site_with_an_authority_of_its_own(made: Path, tmp_path: Path) -> None:
    tls = ensure_tls(tmp_path / "tls", ["127.0.0.1"])
    with served(made, tmp_path / "state", certificate=tls.certificate, key=tls.key) as running:
        assert "serving_ca" not in yaml.safe_load(running.variables.read_text())
    ca = tmp_path / "tls" / "ca.crt"
    with served(made, tmp_path / "state", certificate=tls.certificate, key=tls.key, ca=ca) as running:
        assert yaml.safe_load(running.variables.read_text())["serving_ca"] == ca.read_text()
    with (
        pytest.raises(UsageError, match="--cert and --key belong together"),
        served(made, tmp_path / "state", certificate=tls.certificate),
    ):
        pass


def test_what_was_checked_is_said(made: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    shown = bars()
    loaded = load_bundle(Options(made, Listen("127.0.0.1", 0, "127.0.0.1"), tmp_path / "state"), shown)
    assert loaded.server is not None
    loaded.server.close()
    assert f"bundle.json has sha256 {loaded.checksum}" in said(shown)
