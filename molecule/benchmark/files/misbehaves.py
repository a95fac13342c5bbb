#!/usr/bin/env python3
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A target that misbehaves, by the first part of the path: html, cut, limited. Standard library only."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers as its path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """List one model, so that only the answers are wrong; a site of pages has pages everywhere."""
        if self.path.startswith("/html/"):
            self._say(200, "text/html", "<!doctype html><title>Welcome</title>")
        else:
            self._say(200, "application/json", json.dumps({"object": "list", "data": [{"id": "tiny-chat"}]}))

    def do_POST(self) -> None:
        """Fail."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = self.path.split("/")[1]
        if kind == "limited":
            self._say(429, "application/json", json.dumps({"error": {"message": "slow down"}}), {"Retry-After": "7"})
        elif kind == "html":
            self._say(200, "text/html", "<!doctype html><title>Welcome</title>")
        elif body.get("stream"):
            self._cut()
        else:
            # What comes whole is well, so that only the measurement meets the fault.
            count = len(body["messages"][0]["content"].split())
            message = {"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}]}
            self._say(200, "application/json", json.dumps({**message, "usage": {"prompt_tokens": count}}))

    def _cut(self) -> None:
        """Begin a stream, and close the connection in the middle of it."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        event = b'data: {"choices": [{"index": 0, "delta": {"content": "The"}}]}\n\n'
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.flush()
        self.close_connection = True

    def _say(self, status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Type": kind, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
