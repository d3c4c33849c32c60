# SPDX-License-Identifier: Apache-2.0
"""Garbage collection of many dead blobs among as many live ones, with pushes beside it.

    python bench/collection.py [--images 20000] [--folder DIR]

The same tree of blobs is collected by Distribution 3 (`garbage-collect`, which must not run beside
pushes: the server is stopped) and, imported from it, by ours (which serves on). Half of the images
are deleted through the API of each. Prints a table.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from load import authorization, pss_kib, push
from peers import Peer, distribution, ours

REPOSITORIES, LAYERS, CLIENTS = 100, 9, 4
ACCEPT = "application/vnd.oci.image.manifest.v1+json"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cais" / "bin"
POLICY = {"garbageCollection": {"pushLease": "24h", "undeleteWindow": "0s"}}


def make_tree(root: Path, images: int) -> list[tuple[str, str]]:
    """Write what Distribution would have stored of so many images; their repositories, digests."""
    made = []
    for number in range(images):
        repository = f"team/app{number % REPOSITORIES}"
        blobs = [_blob(root, repository, f"{number}.{part}") for part in range(LAYERS + 1)]
        config, *layers = [
            {"mediaType": "application/octet-stream", "digest": digest, "size": size}
            for digest, size in blobs
        ]
        manifest = {"schemaVersion": 2, "mediaType": ACCEPT, "config": config, "layers": layers}
        digest = _store(root, json.dumps(manifest).encode())
        places = root / "repositories" / repository / "_manifests"
        _link(places / "revisions" / digest.replace(":", "/") / "link", digest)
        _link(places / "tags" / f"v{number}" / "current" / "link", digest)
        _link(places / "tags" / f"v{number}" / "index" / digest.replace(":", "/") / "link", digest)
        made.append((repository, digest))
    return made


def _blob(root: Path, repository: str, name: str) -> tuple[str, int]:
    content = (name.encode() + b"\n") * 64
    digest = _store(root, content)
    _link(
        root / "repositories" / repository / "_layers" / digest.replace(":", "/") / "link", digest
    )
    return digest, len(content)


def _store(root: Path, content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest()
    folder = root / "blobs" / "sha256" / name[:2] / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").write_bytes(content)
    return f"sha256:{name}"


def _link(path: Path, digest: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(digest)


def delete(peer: Peer, images: list[tuple[str, str]]) -> float:
    """Delete images by digest, over a few connections; seconds."""
    begin = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(
            pool.map(lambda part: _delete(peer, part), (images[n::CLIENTS] for n in range(CLIENTS)))
        )
    return time.monotonic() - begin


def _delete(peer: Peer, images: list[tuple[str, str]]) -> None:
    connection = _connect(peer)
    for repository, digest in images:
        _ask(connection, peer, "DELETE", f"/v2/{repository}/manifests/{digest}", 202)
    connection.close()


def _connect(peer: Peer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(peer.url).netloc, timeout=600)


def _ask(
    connection: http.client.HTTPConnection, peer: Peer, method: str, path: str, status: int
) -> bytes:
    connection.request(method, path, headers=authorization(peer.login))
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != status:
        raise RuntimeError(f"{method} {path}: {answer.status} {body[:200]!r}")
    return body


@contextmanager
def peak(peer: Peer) -> Iterator[list[float]]:
    """Look at the memory twice a second; the list has the largest PSS in MiB at the end."""
    over, found = threading.Event(), [0.0]

    def look() -> None:
        while not over.wait(0.5):
            found[0] = max(found[0], sum(map(pss_kib, peer.pids())) / 1024)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def collect_ours(peer: Peer) -> dict[str, Any]:
    """One run, beside pushes."""
    alone = [push(peer, clients=CLIENTS, images=True, seconds=5) for _ in range(4)]
    connection = _connect(peer)
    with peak(peer) as memory:
        place = json.loads(_ask(connection, peer, "POST", "/cais/v1/gc", 202))["id"]
        beside = []
        while True:
            run = json.loads(_ask(connection, peer, "GET", f"/cais/v1/gc/{place}", 200))
            if run["state"] != "Running":
                break
            beside.append(push(peer, clients=CLIENTS, images=True, seconds=5))
    if run["state"] != "Succeeded":
        raise RuntimeError(run)
    return {"run": run, "alone": alone, "beside": beside, "memory": memory[0]}


def collect_distribution(folder: Path, program: str) -> tuple[float, float]:
    """Seconds and peak memory (MiB) of `garbage-collect`; the server is stopped."""
    begin, most = time.monotonic(), 0.0
    command = [program, "garbage-collect", str(folder / "config.yml")]
    with (folder / "gc.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        pause = threading.Event()
        while process.poll() is None:
            with suppress(OSError, RuntimeError):  # it may end at any moment
                most = max(most, pss_kib(process.pid) / 1024)
            pause.wait(0.2)
    if process.returncode:
        raise RuntimeError((folder / "gc.log").read_text()[-2000:])
    return time.monotonic() - begin, most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="where to work; a folder on the disk")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        run(Path(name), options.images)
    return 0


def run(folder: Path, count: int) -> None:
    tree = folder / "v3" / "data" / "docker" / "registry" / "v2"
    images = make_tree(tree, count)
    dead = images[::2]
    print(f"{count} images, {count * (LAYERS + 1)} blobs; half of them will be dead", flush=True)
    data = folder / "ours" / "data"
    begin = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "cais_registry",
        "import",
        "--from",
        str(folder / "v3" / "data"),
    ]
    subprocess.run([*command, "--data", str(data)], check=True, stdout=subprocess.DEVNULL)
    print(f"imported in {time.monotonic() - begin:.0f} s", flush=True)
    with ours(folder / "ours", None, POLICY) as peer:
        print(f"deleted in {delete(peer, dead):.0f} s", flush=True)
        found = collect_ours(peer)
    program = str(CACHE / "distribution")
    with distribution("Distribution 3", program, folder / "v3", None) as peer:
        print(f"Distribution: deleted in {delete(peer, dead):.0f} s", flush=True)
    report(found, collect_distribution(folder / "v3", program))


def report(found: dict[str, Any], theirs: tuple[float, float]) -> None:
    run, alone, beside = found["run"], found["alone"], found["beside"]
    print(f"\n{run['message']}; in it {sum(one['pushes'] for one in beside)} images were pushed\n")
    print("| | cais | Distribution 3 |\n|---|---|---|")
    print(f"| seconds | {run['durationSeconds']:.1f} | {theirs[0]:.1f} |")
    print(f"| pushes stand still, seconds | 0 | {theirs[0]:.1f} (the server is stopped) |")
    print(f"| memory, MiB | {found['memory']:.0f} (the whole server) | {theirs[1]:.0f} |")
    for name, ask in (
        ("images/s", lambda one: one["pushes"] / one["seconds"]),
        ("p50 of a push, ms", itemgetter("p50_ms")),
        ("p99 of a push, ms", itemgetter("p99_ms")),
    ):
        before, during = (statistics.median(map(ask, some)) for some in (alone, beside))
        print(f"| {name}: without a run, beside it | {before:.1f}, {during:.1f} | |")


if __name__ == "__main__":
    sys.exit(main())
