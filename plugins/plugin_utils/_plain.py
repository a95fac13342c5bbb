# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Take values out of Ansible's templating once."""

from __future__ import annotations

import typing as t


def plain(value: t.Any) -> t.Any:
    """Copy a value of the inventory into plain dicts and lists.

    Ansible gives filters containers that render what is in them when it is asked for, and a copy of one renders anew.
    Code that looks at a value many times is faster by far on a copy of its own.

    Args:
        value: Whatever a filter was given.

    Returns:
        The same, rendered throughout.
    """
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
