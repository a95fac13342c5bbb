# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates as text are a file while they are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._ca_file import ca_file


def test_text_is_a_file_that_goes_again() -> None:
    with ca_file("PEM") as path:
        assert path is not None
        assert Path(path).read_text() == "PEM"
        assert Path(path).stat().st_mode & 0o777 == 0o600
    assert not Path(path).exists()


@pytest.mark.parametrize(
    ("ca", "ca_path", "expected"),
    [("", None, None), (None, None, None), ("", "", None), ("PEM", "/etc/ca.pem", "/etc/ca.pem")],
)
def test_a_file_of_the_host_wins_and_nothing_is_nothing(
    ca: str | None, ca_path: str | None, expected: str | None
) -> None:
    with ca_file(ca, ca_path) as path:
        assert path == expected
