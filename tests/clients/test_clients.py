# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every model of a lab host is asked by the clients of the course."""

from __future__ import annotations

import contextlib
import itertools
import typing as t

import pytest

from tests.clients.contract import CONTRACT, Asked, cosine, vectors_of
from tests.clients.lab_host import ServedModel, chosen_host

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each promise to each model that the host serves."""
    host = chosen_host()
    models = host.models()
    if "pair" in metafunc.fixturenames:
        # One model as safetensors and as GGUF, where the host serves both.
        same = [model for model in models if model.model.startswith("minilm")]
        metafunc.parametrize(
            "pair", list(itertools.combinations(same, 2)), ids=lambda pair: "-".join(x.engine for x in pair)
        )
        return
    cases = [(model, promise) for model in models for promise in CONTRACT[model.task]]
    assert cases, f"the host {host.name} serves nothing"
    names = [f"{model.server}-{model.engine}-{model.model}-{promise.__name__}" for model, promise in cases]
    metafunc.parametrize(("model", "promise"), cases, ids=names)


@pytest.fixture(scope="module")
def ways() -> Iterator[Callable[[ServedModel], Asked]]:
    """Give the way to a model; a server's tunnel and key are got once."""
    lab_host = chosen_host()
    with contextlib.ExitStack() as stack:
        roots: dict[int, str] = {}

        def way(model: ServedModel) -> Asked:
            if model.port not in roots:
                roots[model.port] = stack.enter_context(lab_host.reach(model.port))
            return Asked(roots[model.port], lab_host.key(model.server), model.model)

        yield way


def test_one_model_has_the_same_vectors_on_every_engine(
    pair: tuple[ServedModel, ServedModel], ways: Callable[[ServedModel], Asked]
) -> None:
    for left, right in zip(*(vectors_of(ways(model)) for model in pair), strict=True):
        assert cosine(left, right) > 0.99


def test_client(model: ServedModel, promise: Callable[[Asked], None], ways: Callable[[ServedModel], Asked]) -> None:
    promise(ways(model))
