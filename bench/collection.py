# SPDX-License-Identifier: Apache-2.0
"""Garbage collection of many dead blobs among as many live ones, with pushes beside it.

    python bench/collection.py [--images 20000] [--folder DIR] [--write PAGE...]

The same tree of blobs is collected by Distribution 3 (`garbage-collect`, which must not run beside
pushes: the server is stopped) and, imported from it, by ours (which serves on). Half of the images
are deleted through the API of each. Prints tables, and writes them into pages.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from load import authorization, pss_kib, push, pushing
from peers import CACHE, Peer, distribution, ours
from report import put_section
from tree import LAYERS, make_tree

TITLE = "Garbage collection beside pushes"
CLIENTS, ALONE_SECONDS = 4, 20
POLICY = {"garbageCollection": {"pushLease": "24h", "undeleteWindow": "0s"}}


def delete(peer: Peer, images: list[tuple[str, str]]) -> None:
    """Delete images by digest, over a few connections."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(
            pool.map(lambda part: _delete(peer, part), (images[n::CLIENTS] for n in range(CLIENTS)))
        )


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
        while True:
            found[0] = max(found[0], sum(map(pss_kib, peer.pids())) / 1024)
            if over.wait(0.5):
                return

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def collect_ours(peer: Peer) -> dict[str, Any]:
    """One run, beside pushes that begin before it and end with it."""
    alone = push(peer, clients=CLIENTS, images=True, seconds=ALONE_SECONDS)
    connection = _connect(peer)
    with peak(peer) as memory, pushing(peer, clients=CLIENTS, images=True) as beside:
        place = json.loads(_ask(connection, peer, "POST", "/cais/v1/gc", 202))["id"]
        pause = threading.Event()
        while (run := _asked(connection, peer, place))["state"] == "Running":
            pause.wait(0.25)
    if run["state"] != "Succeeded":
        raise RuntimeError(run)
    return {"run": run, "alone": alone, "beside": beside, "memory": memory[0]}


def _asked(connection: http.client.HTTPConnection, peer: Peer, place: str) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(_ask(connection, peer, "GET", f"/cais/v1/gc/{place}", 200))
    return run


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
    parser.add_argument("--write", type=Path, nargs="*", default=[], help="pages to write it to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        text = run(Path(name), options.images)
        print(f"\n{text}", flush=True)
        for page in options.write:
            put_section(page, TITLE, text)
    return 0


def run(folder: Path, count: int) -> str:
    """Collect the same blobs with both; the text about it."""
    begin = time.monotonic()
    images = make_tree(folder / "v3" / "data" / "docker" / "registry" / "v2", count)
    dead = images[::2]
    tell(f"{count:,} images of {LAYERS + 1} blobs written", begin)
    begin = time.monotonic()
    import_(folder / "v3" / "data", folder / "ours" / "data")
    tell("imported", begin)
    with ours(folder / "ours", None, POLICY) as peer:
        begin = time.monotonic()
        delete(peer, dead)
        tell("deleted from ours", begin)
        found = collect_ours(peer)
    program = str(CACHE / "distribution")
    with distribution("Distribution 3", program, folder / "v3", None) as peer:
        begin = time.monotonic()
        delete(peer, dead)
        tell("deleted from Distribution", begin)
    theirs = collect_distribution(folder / "v3", program)
    print("collected with both", flush=True)
    gone = len(dead) * (LAYERS + 1)
    check_gone("ours", found["run"]["blobsDeleted"], gone)
    left = sum(1 for _ in (folder / "v3").glob("data/docker/registry/v2/blobs/sha256/*/*/data"))
    check_gone("Distribution", len(images) * (LAYERS + 2) - left, gone + len(dead))
    return report(found, theirs, blobs=gone, live=(count - len(dead)) * (LAYERS + 1))


def tell(what: str, begin: float) -> None:
    print(f"{what} in {time.monotonic() - begin:.0f} s", flush=True)


def import_(source: Path, data: Path) -> None:
    """Take over the tree with our own command; blobs are hard links."""
    command = [sys.executable, "-m", "cais_registry", "import", "--from", str(source)]
    subprocess.run([*command, "--data", str(data)], check=True, stdout=subprocess.DEVNULL)


def check_gone(whose: str, found: int, expected: int) -> None:
    """Both have to do the whole work, or their seconds mean nothing."""
    if found != expected:
        raise RuntimeError(f"{whose}: {found} were collected, not {expected}")


def report(found: dict[str, Any], theirs: tuple[float, float], *, blobs: int, live: int) -> str:
    """Words and a table."""
    run, alone, beside = found["run"], found["alone"], found["beside"]
    words = (
        f"`make bench-collection`: {blobs:,} dead blobs among {live:,} live ones, on disk, while"
        f" {CLIENTS} clients push small images to ours\nwithout a pause"
        f" ({beside['pushes']:,.0f} in that time). Distribution's `garbage-collect` must not run"
        " beside pushes: its server is stopped.\nMemory is the peak of PSS, ours of the whole"
        " server, theirs of the collecting process."
    )
    lines = [
        words,
        "",
        "| | cais | Distribution 3 |",
        "|---|---|---|",
        f"| seconds | {run['durationSeconds']:.1f} | {theirs[0]:.1f} |",
        f"| seconds in which nobody can push | 0 | {theirs[0]:.1f} |",
        f"| memory, MiB | {found['memory']:.0f} | {theirs[1]:.0f} |",
        "",
        f"| pushes to ours | {ALONE_SECONDS} s without a run | beside the run |",
        "|---|---|---|",
        f"| images/s | {_rate(alone):.1f} | {_rate(beside):.1f} |",
    ]
    lines += [
        f"| {name}, ms | {alone[f'{name}_ms']:.0f} | {beside[f'{name}_ms']:.0f} |"
        for name in ("p50", "p99", "max")
    ]
    return "\n".join(lines)


def _rate(pushes: dict[str, float]) -> float:
    return pushes["pushes"] / pushes["seconds"]


if __name__ == "__main__":
    sys.exit(main())
