# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# mypy: ignore-errors
# It runs in the benchmark's container, where the lab's hub left its own answers.
"""The small answers of a model hub: `resolve`, the description of a repository, and the LFS batch API.

The lab's answers are taken as they are, but for the scheme: all is on loopback without TLS.
"""

from __future__ import annotations

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, "/opt/hub")

import hub_resolve

DATA = Path("/hub")
PORT = 8000
LFS_TYPE = "application/vnd.git-lfs+json"
_BATCH = re.compile(r"^/([^/]+/[^/]+?)(?:\.git)?/info/lfs/objects/batch$")


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    # Answers go out as they are written, without waiting for a full packet.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer as the lab's hub does."""
        manifest = json.loads((DATA / "manifest.json").read_text(encoding="utf-8"))
        manifest["cdn"] = self._cdn()
        answer = hub_resolve.resolve(manifest, self.path.partition("?")[0])
        body = (DATA / f"raw{answer.file}").read_bytes() if answer.file else answer.body
        headers = dict(answer.headers)
        if "Location" in headers:
            headers["Location"] = headers["Location"].replace("https://", "http://", 1)
        self._answer(answer.status, headers, body)

    do_HEAD = do_GET  # noqa: N815  # the library's name

    def do_POST(self) -> None:
        """Answer the LFS batch API: where each object is."""
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = _BATCH.match(self.path)
        if found is None:
            self._answer(404, {}, b"")
            return
        objects = [
            {
                "oid": wanted["oid"],
                "size": wanted["size"],
                "authenticated": True,
                "actions": {"download": {"href": f"http://{self._cdn()}/{found.group(1)}/{wanted['oid']}"}},
            }
            for wanted in question["objects"]
        ]
        body = json.dumps({"transfer": "basic", "objects": objects}).encode()
        self._answer(200, {"Content-Type": LFS_TYPE}, body)

    def _cdn(self) -> str:
        """Where objects are: another host, on the port of the same speed."""
        return f"127.0.0.2:{self.headers['Host'].rpartition(':')[2]}/objects"

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Stay silent: what counts is in nginx's log."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
