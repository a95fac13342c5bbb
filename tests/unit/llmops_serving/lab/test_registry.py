# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import yaml

from llmops_serving.lab import registry
from llmops_serving.lab.images import EngineImage


def test_the_two_listeners_share_one_storage() -> None:
    plain = yaml.safe_load(registry.configuration(5001, None, None))
    tls = yaml.safe_load(registry.configuration(5000, "/a.crt", "/a.key"))
    assert plain["storage"] == tls["storage"]
    assert plain["http"]["addr"] == ":5001"
    assert "tls" not in plain["http"]
    assert tls["http"]["tls"] == {"certificate": "/a.crt", "key": "/a.key"}


def test_what_only_this_registry_has_is_kept_under_its_path() -> None:
    assert registry.stored_name(EngineImage("docker.io/vllm/vllm-openai-cpu", "v1")) == "docker.io/vllm/vllm-openai-cpu"
    assert registry.stored_name(EngineImage("registry.lab:5000/llmops/x", "v1")) == "llmops/x"
