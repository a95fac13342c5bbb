# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After the preflight, the host is as bare as before."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host


@pytest.mark.parametrize("path", ["/var/lib/llmops", "/var/lib/docker/image", "/etc/docker", "/usr/bin/docker"])
def test_nothing_was_changed(host: Host, path: str) -> None:
    assert not host.file(path).exists
