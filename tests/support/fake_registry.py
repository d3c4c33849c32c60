# SPDX-License-Identifier: Apache-2.0
"""A registry that answers as a test wants it to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from support.registry import OCI_IMAGE, digest_of


@dataclass(kw_only=True)
class Reply:
    """What is answered.

    Attributes:
        cut: Send only so many bytes of the body, and end the connection.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass(kw_only=True)
class Asked:
    """What was asked."""

    method: str
    path: str
    query: str
    headers: dict[str, str]


@dataclass(kw_only=True)
class FakeRegistry:
    """Serves what it holds.

    Attributes:
        url: Where.
        replies: Contents by path.
        rule: Answers before anything else does; None leaves it to the contents.
        asked: All requests so far.
    """

    url: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)
    rule: Callable[[Asked], Reply | None] = lambda _: None
    asked: list[Asked] = field(default_factory=list)

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        return self.rule(asked) or self.replies.get(asked.path) or Reply(status=404)

    def blob(self, repo: str, content: bytes) -> dict[str, Any]:
        digest = digest_of(content)
        self.replies[f"/v2/{repo}/blobs/{digest}"] = Reply(body=content)
        return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content)}

    def manifest(self, repo: str, tag: str, media_type: str, document: object) -> str:
        """Hold a manifest, which gets a tag that no list names; returns its digest."""
        content = json.dumps(document).encode()
        digest = digest_of(content)
        told = {"Content-Type": media_type, "Docker-Content-Digest": digest}
        for reference in (tag, digest):
            self.replies[f"/v2/{repo}/manifests/{reference}"] = Reply(body=content, headers=told)
        return digest

    def image(self, repo: str, tag: str, layer: bytes, **more: object) -> str:
        """Hold an image, the only one of its repository that is listed; returns its digest."""
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": self.blob(repo, b"{}"),
            "layers": [self.blob(repo, layer)],
            **more,
        }
        self.replies["/v2/_catalog"] = _json({"repositories": [repo]})
        self.replies[f"/v2/{repo}/tags/list"] = _json({"name": repo, "tags": [tag]})
        return self.manifest(repo, tag, OCI_IMAGE, document)

    def paths(self, part: str) -> list[str]:
        return [asked.path for asked in self.asked if part in asked.path]


def _json(document: object) -> Reply:
    return Reply(body=json.dumps(document).encode(), headers={"Content-Type": "application/json"})


def ranged(content: bytes, asked: Asked, cut: int | None = None) -> Reply:
    """Answer a request for a blob from some byte on."""
    told = asked.headers.get("range")
    if told is None:
        return Reply(body=content, cut=cut)
    begin = int(told.removeprefix("bytes=").removesuffix("-"))
    where = f"bytes {begin}-{len(content) - 1}/{len(content)}"
    return Reply(status=206, body=content[begin:], headers={"Content-Range": where}, cut=cut)


_IDLE_SECONDS: Final = 60


@contextmanager
def fake_registry(host: str = "127.0.0.1") -> Iterator[FakeRegistry]:
    """Serve one on a port that the system chooses."""
    fake = FakeRegistry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _IDLE_SECONDS

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(method=self.command, path=parts.path, query=parts.query, headers=headers)
            reply = fake.answer(asked)
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(reply.body[: reply.cut])
            self.close_connection = reply.cut is not None

        do_HEAD = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((host, 0), Handler)
    fake.url = f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
