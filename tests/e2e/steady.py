# SPDX-License-Identifier: Apache-2.0
"""Pushes and pulls at a steady rate until a file appears, and writes down what came of each.

    python3 steady.py CONFIG.json

Standard library only: it runs beside the engine, outside of the project's environment. Every
request has a connection of its own and is never sent again; each reads the CA file anew. CONFIG
has `host`, `port`, `ca`, `login`, `pushes` and `pulls` (each second), `stop` (a file) and `log` (a
file: one JSON line for each image pushed or pulled: when it began and ended, what it was, `ok` or
the status or error, and where).
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONNECT = 10  # seconds; while a pod is replaced nobody may be there to refuse a connection
TIMEOUT = 30


class RefusedError(Exception):
    """An answer that is not what a good registry gives."""


class Client:
    """One kind of traffic."""

    def __init__(self, config: dict[str, Any], log: TextIO) -> None:
        self.config = config
        self.log = log
        encoded = base64.b64encode(config["login"].encode()).decode()
        self.headers = {"Authorization": f"Basic {encoded}"}

    def ask(
        self, method: str, path: str, status: int, body: bytes | None = None, kind: str = ""
    ) -> tuple[http.client.HTTPMessage, bytes]:
        """Send one request; return the answer's headers and body."""
        headers = {**self.headers, **({"Content-Type": kind} if kind else {})}
        host, port = self.config["host"], self.config["port"]
        context = ssl.create_default_context(cafile=self.config["ca"])
        connection = http.client.HTTPSConnection(host, port, timeout=CONNECT, context=context)
        try:
            connection.connect()
            connection.sock.settimeout(TIMEOUT)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != status:
            raise RefusedError(f"{answer.status} {method} {path}: {content[:300].decode()}")
        return answer.headers, content

    def push(self, number: int) -> None:
        """Push an image as docker does."""
        layer = os.urandom(8192)
        parts = [self.blob(content) for content in (b"{}", layer)]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": parts[0]}
        content = json.dumps({**manifest, "layers": parts[1:]}).encode()
        self.ask("PUT", f"/v2/load/app/manifests/v{number}", 201, content, MANIFEST)

    def blob(self, content: bytes) -> dict[str, Any]:
        """Push a blob; return its descriptor."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        headers, _ = self.ask("POST", "/v2/load/app/blobs/uploads/", 202)
        self.ask("PATCH", headers["Location"], 202, content, "application/octet-stream")
        self.ask("PUT", f"{headers['Location']}?digest={digest}", 201)
        return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content)}

    def pull(self, number: int) -> None:
        """Pull the image that stays, and look at every byte."""
        del number
        headers, content = self.ask("GET", "/v2/kept/app/manifests/stays", 200)
        found = [(headers["Docker-Content-Digest"], content)]
        for layer in json.loads(content)["layers"]:
            path = f"/v2/kept/app/blobs/{layer['digest']}"
            found.append((layer["digest"], self.ask("GET", path, 200)[1]))
        for digest, body in found:
            if digest != "sha256:" + hashlib.sha256(body).hexdigest():
                raise RefusedError(f"bytes of {digest} are others")

    def repeat(self, act: Callable[[int], None], rate: float) -> None:
        """Do something so often each second, until told to stop."""
        number, pause = 0, threading.Event()
        while not Path(self.config["stop"]).exists():
            began, outcome = time.time(), "ok"
            try:
                act(number)
            except (OSError, http.client.HTTPException, RefusedError) as error:
                outcome = f"{type(error).__name__}: {error}"
            line = {"at": began, "ended": time.time(), "what": act.__name__, "outcome": outcome}
            self.log.write(json.dumps(line) + "\n")
            number += 1
            pause.wait(max(0.0, began + 1 / rate - time.time()))


def main() -> None:
    """Run both kinds of traffic beside each other."""
    config = json.loads(Path(sys.argv[1]).read_text())
    with Path(config["log"]).open("w", buffering=1) as log:
        client = Client(config, log)
        threads = [
            threading.Thread(target=client.repeat, args=(client.push, config["pushes"])),
            threading.Thread(target=client.repeat, args=(client.pull, config["pulls"])),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
