# SPDX-License-Identifier: Apache-2.0
"""What is measured: each scenario is a function from a peer to one figure."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import load
from peers import OURS, Peer

MIB = 1 << 20
_REPO = "/v2/bench/pull"
_OCI = "application/vnd.oci.image.manifest.v1+json"


@dataclass(slots=True)
class Content:
    """What every peer holds: a manifest under a tag, and blobs by size."""

    blobs: dict[int, str] = field(default_factory=dict)
    manifest: bytes = b""

    def blob(self, peer: Peer, size: int) -> str:
        return f"{peer.url}{_REPO}/blobs/{self.blobs[size]}"

    def tag(self, peer: Peer) -> str:
        return f"{peer.url}{_REPO}/manifests/v1"


def fill(peers: list[Peer], sizes: list[int]) -> Content:
    """Push the same content everywhere; a file server gets it as files of the same paths."""
    content = Content()
    for size in (2000, *sizes):
        data = os.urandom(MIB) * (size // MIB) or os.urandom(size)
        content.blobs[size] = digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        for peer in peers:
            _put_blob(peer, digest, data)
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 2000}
    manifest = {
        "schemaVersion": 2,
        "mediaType": _OCI,
        "config": {**layer, "mediaType": "application/vnd.oci.image.config.v1+json"},
        "layers": [layer] * 8,  # as long as the manifest of a usual image
    }
    text = json.dumps(manifest).replace('"size"', f'"digest": "{content.blobs[2000]}", "size"')
    content.manifest = text.encode()
    for peer in peers:
        if peer.files is None:
            _ask(peer, "PUT", f"{_REPO}/manifests/v1", content.manifest, _OCI)
        else:
            _write(peer.files / _REPO.strip("/") / "manifests" / "v1", content.manifest)
    return content


def _put_blob(peer: Peer, digest: str, data: bytes) -> None:
    if peer.files is not None:
        _write(peer.files / _REPO.strip("/") / "blobs" / digest, data)
        return
    location = _ask(peer, "POST", f"{_REPO}/blobs/uploads/", b"", "")
    where = location.removeprefix(peer.url)
    joined = f"{where}{'&' if '?' in where else '?'}digest={digest}"
    _ask(peer, "PUT", joined, data, "application/octet-stream")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _ask(peer: Peer, method: str, path: str, body: bytes, kind: str) -> str:
    address = peer.url + path
    request = urllib.request.Request(address, body, {"Content-Type": kind}, method=method)  # noqa: S310 - our own address
    for name, value in load.authorization(peer.login).items():
        request.add_header(name, value)
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - loopback: speed is asked here
    with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 - our own address
        return str(answer.headers.get("Location", ""))


def cold(work: Callable[[], float]) -> float:
    """Measure with nothing of any file in memory."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    return work()


def mixed(peer: Peer, content: Content, *, seconds: float) -> float:
    """p99 of GET of a manifest, in ms, while four clients push layers of 100 MiB."""
    flags = load.push_command(peer, clients=4, size=100 * MIB, seconds=seconds + 2)
    with subprocess.Popen(flags, stdout=subprocess.DEVNULL) as pushing:
        time.sleep(1.0)  # until the first bytes flow
        try:
            return load.gets(content.tag(peer), seconds=seconds).p99
        finally:
            pushing.terminate()


def memory(peer: Peer) -> float:
    """PSS of all processes of a peer, in MiB."""
    total = 0
    for pid in peer.pids():
        with suppress(OSError):  # ended meanwhile
            total += load.pss_kib(pid)
    return total / 1024


def disk(folder: Path, size: int = 512 * MIB) -> float:
    """Bytes each second that the disk itself takes, fsync included."""
    piece, path = os.urandom(MIB), folder / "disk-figure"
    begin = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    took = time.perf_counter() - begin
    path.unlink()
    return size / took


def is_registry(peer: Peer) -> bool:
    return peer.files is None


def is_ours(peer: Peer) -> bool:
    return peer.name == OURS
