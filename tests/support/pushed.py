# SPDX-License-Identifier: Apache-2.0
"""One of each kind of content, pushed to a server whose database is going to be lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from support.registry import (
    DEADLINE,
    OCI_IMAGE,
    OCI_INDEX,
    Server,
    digest_of,
    is_alive,
    running,
    wait_until,
)

DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"

Tag = tuple[str, str]
"""Repository and tag."""


@dataclass
class Pushed:
    """What was acknowledged: contents by path, digests by repository and tag."""

    contents: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[Tag, str] = field(default_factory=dict)

    def blob(self, server: Server, repo: str, content: bytes, algorithm: str = "sha256") -> str:
        digest = digest_of(content, algorithm)
        path = f"/v2/{repo}/blobs/"
        assert server.ask("POST", f"{path}uploads/?digest={digest}", content).status == 201
        self.contents[path + digest] = ("application/octet-stream", content)
        return digest

    def manifest(self, server: Server, repo: str, tag: str | None, document: object) -> str:
        content = json.dumps(document).encode()
        assert isinstance(document, dict)
        return self.bytes(server, repo, tag or digest_of(content), document["mediaType"], content)

    def bytes(self, server: Server, repo: str, to: str, media_type: str, content: bytes) -> str:
        path = f"/v2/{repo}/manifests/"
        kind = {"Content-Type": media_type}
        answer = server.ask("PUT", path + to, content, kind)
        assert answer.status == 201, answer.body
        digest = str(answer["Docker-Content-Digest"])
        self.contents[path + digest] = (media_type, content)
        if ":" not in to:
            self.tags[repo, to] = digest
        return digest

    def image(self, server: Server, repo: str, name: str, tag: str | None, **more: object) -> str:
        config = json.dumps({"name": name}).encode()
        layers = [b"shared by all" * 999, f"layer of {name}".encode() * 99]
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", x) for x in layers],
            **more,
        }
        for content in (config, *layers):
            self.blob(server, repo, content)
        return self.manifest(server, repo, tag, document)

    def fill(self, server: Server, word: str) -> None:
        """Push one of each kind."""
        parts = [self.image(server, "team/app", f"{word}-{part}", None) for part in "ab"]
        sizes = [len(self.contents[f"/v2/team/app/manifests/{part}"][1]) for part in parts]
        index = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                {"mediaType": OCI_IMAGE, "digest": part, "size": size}
                for part, size in zip(parts, sizes, strict=True)
            ],
        }
        self.manifest(server, "team/app", "latest", index)
        subject = {"mediaType": OCI_IMAGE, "digest": parts[0], "size": sizes[0]}
        self.image(
            server, "team/app", f"{word}-sig", None, subject=subject, artifactType="test/signature"
        )
        self.image(server, "other", f"{word}-a", "latest")
        self.image(server, "other", f"{word}-docker", word, mediaType=DOCKER_IMAGE)
        strong = self.blob(server, "strong", word.encode(), "sha512")
        layer = {"mediaType": "text/plain", "digest": strong, "size": len(word)}
        self.blob(server, "strong", b"{}")
        config = _descriptor("application/vnd.oci.empty.v1+json", b"{}")
        untyped = {"schemaVersion": 2, "config": config, "layers": [layer]}
        content = json.dumps(untyped).encode()
        self.bytes(server, "strong", digest_of(content, "sha512"), OCI_IMAGE, content)

    def check(self, server: Server, tags: dict[Tag, str]) -> None:
        """Pull everything, compare every byte, and the tags."""
        for path, (media_type, content) in self.contents.items():
            answer = server.ask("GET", path)
            assert (answer.status, answer.body) == (200, content), path
            assert answer["Content-Type"] == media_type
        found = {
            (repo, tag): server.ask("HEAD", f"/v2/{repo}/manifests/{tag}")["Docker-Content-Digest"]
            for repo in {path.split("/")[2] for path in self.contents} - {"team"} | {"team/app"}
            for tag in server.ask("GET", f"/v2/{repo}/tags/list").json["tags"]
        }
        assert found == tags
        subject = next(d for d in self.contents if d.startswith("/v2/team/app/manifests/"))
        path = subject.replace("/manifests/", "/referrers/")
        (referrer,) = server.ask("GET", path).json["manifests"]
        assert referrer["artifactType"] == "test/signature"


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def kill(server: Server) -> None:
    """End it as a power loss would, all processes of it."""
    pids = [server.process.pid, *server.workers]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    server.process.wait(DEADLINE)
    wait_until(lambda: not any(map(is_alive, pids)), what="its processes have ended")


def make_due(data: Path) -> None:
    """Make the next snapshot due, which the server looks for when it starts: age the others."""
    for path in (data / "snapshots").iterdir():
        old = time.time() - 7200
        os.utime(path, (old, old))


def has_new_snapshot(data: Path) -> bool:
    """Whether one is not aged; in a quick test it may have the name of an aged one."""
    taken = (data / "snapshots").glob("metadata-*")
    return any(path.stat().st_mtime > time.time() - 3600 for path in taken)


def push_around_a_snapshot(folder: Path, config: dict[str, Any]) -> tuple[Pushed, dict[Tag, str]]:
    """Push, have a snapshot taken, push more, and kill the server.

    Returns:
        What was pushed, and the tags of the snapshot.
    """
    pushed = Pushed()
    with running(folder, config=config) as server:
        pushed.fill(server, "before")
    tags = dict(pushed.tags)
    make_due(server.data)
    with running(folder, config=config) as server:
        wait_until(partial(has_new_snapshot, server.data), what="a snapshot is taken")
        pushed.fill(server, "after")
        kill(server)
    return pushed, tags


def collect(server: Server) -> None:
    """Collect garbage, and wait for the end of that."""
    run = server.ask("POST", "/cais/v1/gc").json["id"]
    wait_until(
        lambda: server.ask("GET", f"/cais/v1/gc/{run}").json["state"] == "Succeeded",
        what="garbage is collected",
    )


def cut_off(command: Sequence[str], has_come_so_far: Callable[[], bool]) -> None:
    """Kill `cais-registry` with these arguments on its way, if it has not ended before that."""
    begun = [sys.executable, "-m", "cais_registry", *command]
    with subprocess.Popen(begun, stdout=subprocess.DEVNULL) as process:
        wait_until(
            lambda: has_come_so_far() or process.poll() is not None, what="it has come so far"
        )
        process.kill()
