# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site's own authority is trusted besides the system's."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from llmops_serving.bundle import trust
from llmops_serving.bundle.tls import ensure_tls
from llmops_serving.bundle.trust import system_authorities, trusted
from llmops_serving.errors import UsageError


def subjects(path: str) -> list[str]:
    """Tell who is trusted by a file."""
    found = ssl.create_default_context(cafile=path).get_ca_certs()
    return [str(dict(part[0] for part in one["subject"]).get("commonName")) for one in found]  # type: ignore[misc]


def test_both_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("system", "site"):
        ensure_tls(tmp_path / name, ["10.0.0.5"])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system" / "ca.crt"))
    with trusted(tmp_path / "site" / "ca.crt") as path:
        assert path is not None
        assert subjects(path) == ["llmops bundle", "llmops bundle"]
    assert not Path(path).exists()
    with trusted(None) as path:
        assert path is None


def test_a_system_without_such_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(trust, "_FILES", (str(tmp_path / "none"),))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: ssl.DefaultVerifyPaths(*([None] * 6)))  # type: ignore[arg-type]
    assert system_authorities() == ""
    monkeypatch.setattr(trust, "_FILES", (str(tmp_path / "none"), str(tmp_path / "there")))
    (tmp_path / "there").write_text("authorities")
    assert system_authorities() == "authorities"


@pytest.mark.parametrize("content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\n?\n"])
def test_what_is_no_authority(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ca.crt").write_text(content)
    with pytest.raises(UsageError, match=r"--ca .*ca.crt: holds no certificates"), trusted(tmp_path / "ca.crt"):
        pass
