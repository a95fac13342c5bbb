# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Becomes sgl_kernel/__init__.py in SGLang's image: stands in for kernels whose builds for CPUs are on no index.

SGLang imports many of its operations when it starts, whatever it will use. Here every one exists by name, in every
submodule, and raises when it is called; with `--attention-backend torch_native` none is.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__version__ = "0.4.10"
#: A package, so that its submodules are looked for.
__path__: list[str] = []


class Missing:
    """An operation, type or constant that is there by name only."""

    def __init__(self, name: str) -> None:
        """Remember the name, for the message."""
        self._name = name

    def __call__(self, *_args: object, **_options: object) -> NoReturn:
        """Refuse."""
        msg = f"{self._name} is a stand-in: this image has no kernels of SGLang, use --attention-backend torch_native"
        raise NotImplementedError(msg)

    def __getattr__(self, name: str) -> Missing:
        """Give what hangs on it, such as the members of `scalar_types`."""
        return _missing(self._name, name)

    def __or__(self, _other: object) -> Missing:
        """Be one side of `ScalarType | None` in an annotation."""
        return self

    __ror__ = __or__


def _missing(owner: str, name: str) -> Missing:
    # What Python itself asks for (`__wrapped__`, `__file__`) is not there.
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(name)
    return Missing(f"{owner}.{name}")


def __getattr__(name: str) -> Missing:
    return _missing(__name__, name)


class _Submodules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives every submodule that is asked for."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for this package only."""
        if not fullname.startswith(f"{__name__}."):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        """Let the module have all names."""
        owner = module.__name__

        def get(name: str) -> Any:
            return _missing(owner, name)

        module.__getattr__ = get  # type: ignore[method-assign]


sys.meta_path.append(_Submodules())
