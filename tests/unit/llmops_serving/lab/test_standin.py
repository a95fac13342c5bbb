# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in for SGLang's kernels, imported as SGLang does it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

import pytest

from llmops_serving.lab.build import ASSETS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(name="kernels")
def _kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("sgl_kernel", ASSETS / "sgl_kernel_standin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setitem(sys.modules, "sgl_kernel", module)
    spec.loader.exec_module(module)
    yield module
    for name in [name for name in sys.modules if name.startswith("sgl_kernel.")]:
        del sys.modules[name]


def test_every_operation_is_there_and_says_what_it_is_when_called(kernels: Any) -> None:
    with pytest.raises(NotImplementedError, match=r"sgl_kernel\.silu_and_mul is a stand-in.*torch_native"):
        kernels.silu_and_mul(1, out=2)


def test_every_submodule_is_there(kernels: Any) -> None:
    del kernels
    scalar_type = importlib.import_module("sgl_kernel.scalar_type")
    assert scalar_type.scalar_types.uint4b8.id is not None
    assert (scalar_type.ScalarType | None) is not None
    assert (int | scalar_type.ScalarType) is not None
    assert importlib.import_module("sgl_kernel.a.b").anything is not None


def test_what_python_asks_for_is_not_made_up(kernels: Any) -> None:
    assert not hasattr(kernels, "__wrapped__")
    assert not hasattr(kernels.silu_and_mul, "__wrapped__")


def test_other_packages_are_none_of_its_business(kernels: Any) -> None:
    del kernels
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("sgl_kernel_npu.norm")
