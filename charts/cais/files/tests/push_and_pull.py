# SPDX-License-Identifier: Apache-2.0
"""What `helm test` runs: push an image to a registry, pull it, compare. Standard library alone.

Arguments: host and port of the registry, a folder with `username` and `password`, a CA file.
"""

import base64
import hashlib
import http.client
import json
import os
import ssl
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

DEADLINE = 240.0  # seconds; the registry is made at the same time
PAUSE = 2.0  # seconds between two tries
REPOSITORY = "helm-test/image"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Refused(Exception):  # noqa: N818 - it reads as what happened
    """The registry answered something else than it should."""


class Client:
    """Talks to one registry."""

    def __init__(self, address: str, login: Path, ca: Path) -> None:
        """Read who it is and whom it trusts."""
        user, password = ((login / name).read_text() for name in ("username", "password"))
        self.address = address
        self.basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.trust = ssl.create_default_context(cafile=str(ca))
        self.trust.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as docker and containerd are

    def ask(
        self, method: str, path: str, wanted: int, body: bytes = b"", kind: str = ""
    ) -> tuple[http.client.HTTPMessage, bytes]:
        """Send a request; raise what is wrong with the answer."""
        headers = {"Authorization": f"Basic {self.basic}", "Content-Type": kind or "*/*"}
        headers["Accept"] = kind or "*/*"
        connection = http.client.HTTPSConnection(self.address, context=self.trust, timeout=30)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status != wanted:
            raise Refused(f"{method} {path}: {answer.status} and not {wanted}: {data[:300]!r}")
        return answer.headers, data

    def push_blob(self, content: bytes) -> dict[str, object]:
        """Push a blob; return its descriptor."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        start, _ = self.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/", 202)
        place = urlsplit(start["Location"])
        query = f"{place.query}&" if place.query else ""
        self.ask("PUT", f"{place.path}?{query}digest={digest}", 201, content)
        return {"digest": digest, "size": len(content)}


def push_and_pull(client: Client) -> str:
    """Push an image of random bytes, pull it, delete it; return its digest."""
    layer = os.urandom(1 << 16)
    kinds = ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar")
    config, tar = (
        {"mediaType": kind, **client.push_blob(content)}
        for kind, content in zip(kinds, (b"{}", layer), strict=True)
    )
    image = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [tar]}
    manifest = json.dumps(image).encode()
    path = f"/v2/{REPOSITORY}"
    head, _ = client.ask("PUT", f"{path}/manifests/1", 201, manifest, MANIFEST)
    digest = head["Docker-Content-Digest"]
    _, pulled = client.ask("GET", f"{path}/manifests/1", 200, kind=MANIFEST)
    _, again = client.ask("GET", f"{path}/blobs/{tar['digest']}", 200)
    if (pulled, again) != (manifest, layer):
        raise Refused("what was pulled is not what was pushed")
    client.ask("DELETE", f"{path}/manifests/{digest}", 202)
    return digest


def main(address: str, login: str, ca: str) -> int:
    """Try until it works, or it is too late; return the exit code."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            digest = push_and_pull(Client(address, Path(login), Path(ca)))
        except (OSError, http.client.HTTPException, Refused) as error:
            print(f"{address}: {error}", flush=True)
            if time.monotonic() > end:
                print(f"FAILED: no push and pull at {address} within {DEADLINE:.0f} s")
                return 1
            time.sleep(PAUSE)
        else:
            print(f"pushed to {address}, and pulled from there: {digest}")
            return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
