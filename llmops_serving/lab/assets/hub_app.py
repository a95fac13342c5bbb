# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# mypy: ignore-errors
# Its libraries exist only in the hub's image.
"""The hub's application behind nginx: who may read, where files are, and the LFS batch API (giftless)."""

from __future__ import annotations

import json
import warnings
from http import HTTPStatus
from pathlib import Path

import hub_resolve

warnings.simplefilter("ignore", FutureWarning)

from giftless.app import init_app  # noqa: E402  # its warning about legacy routes must be silenced first
from giftless.storage import ExternalStorage, exc  # noqa: E402  # as above

DATA = Path("/hub")
TOKEN = Path("/etc/hub/token")
#: Bytes that a broken transfer claims to have beyond those it sends.
MISSING_BYTES = 4096


class Manifest:
    """The manifest on disk, read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Read from `path` when first asked."""
        self._path = path
        self._stamp = -1
        self._data: dict = {"cdn": "cdn.lab", "repos": {}}

    def read(self) -> dict:
        """Give the current manifest."""
        stamp = self._path.stat().st_mtime_ns
        if stamp != self._stamp:
            self._data = json.loads(self._path.read_text(encoding="utf-8"))
            self._stamp = stamp
        return self._data


class CdnStorage(ExternalStorage):
    """LFS objects that another host name serves, put in place beforehand and never written here."""

    def __init__(self, path: str, host: str) -> None:
        """Serve the objects under `path` as https://host/..."""
        self._path = Path(path)
        self._host = host

    def get_upload_action(self, *_args: object, **_kwargs: object) -> dict:
        """Refuse: the lab's hub is read-only."""
        raise exc.InvalidObjectError("the lab's hub is read-only")

    def get_download_action(self, prefix: str, oid: str, size: int, expires_in: int, extra: object = None) -> dict:
        """Send the client to the other host."""
        del size, extra
        href = f"https://{self._host}/{prefix}/{oid}"
        return {"actions": {"download": {"href": href, "header": {}, "expires_in": expires_in}}}

    def exists(self, prefix: str, oid: str) -> bool:
        """Tell whether an object is there."""
        return (self._path / prefix / oid).is_file()

    def get_size(self, prefix: str, oid: str) -> int:
        """Tell an object's size in bytes."""
        try:
            return (self._path / prefix / oid).stat().st_size
        except FileNotFoundError:
            raise exc.ObjectNotFoundError from None


manifest = Manifest(DATA / "manifest.json")
lfs = init_app(
    additional_config={
        "PRE_AUTHORIZED_ACTION_PROVIDER": None,
        "TRANSFER_ADAPTERS": {
            "basic": {
                "factory": "giftless.transfer.basic_external:factory",
                "options": {
                    "storage_class": f"{__name__}:CdnStorage",
                    "storage_options": {"path": str(DATA / "cdn"), "host": "cdn.lab"},
                    "action_lifetime": 900,
                },
            }
        },
    }
)


def app(environ: dict, start_response: object) -> object:
    """WSGI entry point."""
    # nginx asks for permission with the path it was asked for in a header of its own.
    path = environ.get("HTTP_X_ORIGINAL_URI", environ["PATH_INFO"]).partition("?")[0]
    if environ["PATH_INFO"].startswith("/_short/"):
        return short(environ["PATH_INFO"].removeprefix("/_short"), start_response)
    token = TOKEN.read_text(encoding="ascii").strip()
    answer = hub_resolve.authorize(manifest.read(), path, environ.get("HTTP_AUTHORIZATION", ""), token)
    if answer is None and environ["PATH_INFO"] == "/_auth":
        answer = hub_resolve.Answer(200)
    if answer is None and "/info/lfs/" in path:
        return lfs.wsgi_app(environ, start_response)
    if answer is None:
        answer = hub_resolve.resolve(manifest.read(), path)
    headers = dict(answer.headers)
    if answer.file is not None:
        headers["X-Accel-Redirect"] = f"/_raw{answer.file}"
    else:
        headers["Content-Length"] = str(len(answer.body))
    status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    start_response(status, list(headers.items()))  # type: ignore[operator]
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]


def short(path: str, start_response: object) -> object:
    """Send an object but claim that it is longer: a connection that breaks."""
    body = (DATA / "cdn" / path.lstrip("/")).read_bytes()
    claim = str(len(body) + MISSING_BYTES)
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", claim)])  # type: ignore[operator]
    return [body]
