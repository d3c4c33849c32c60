# SPDX-License-Identifier: Apache-2.0
"""Retention over many tags, with pushes beside it: seconds, memory, and how long pushes take.

    python bench/retention.py [--tags 1000000] [--share 0.1]

Rows are written straight into the database of a stopped server, in ten repositories, four tags for
each manifest; then a real server applies a rule. RSS is the worker's, with the pages of the
database that it has mapped; its peak is the kernel's (VmHWM).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.registry import Server, running, wait_until

REPOSITORIES: Final = 10
TAGS_EACH: Final = 4
ALONE_SECONDS: Final = 10
DAY: Final = 86_400_000_000
_DEADLINE: Final = 1800.0


def fill(database: Path, tags: int, share: float) -> None:
    """Write tags, the oldest `share` of them pushed 60 days ago, the others today."""
    now = time.time_ns() // 1000
    with closing(sqlite3.connect(database)) as raw:
        raw.execute("PRAGMA synchronous = OFF")
        for number in range(REPOSITORIES):
            name = f"bench/r{number}"
            raw.execute("INSERT INTO repository (name, created_at) VALUES (?, ?)", (name, now))
        ids = [row[0] for row in raw.execute("SELECT id FROM repository ORDER BY id")]
        for begin in range(0, tags, 10_000 * TAGS_EACH):
            numbers = range(begin, min(begin + 10_000 * TAGS_EACH, tags))
            raw.executemany(_MANIFEST, [_manifest(n, ids) for n in numbers if n % TAGS_EACH == 0])
            raw.executemany(_TAG, [_tag(n, ids, now, n < tags * share) for n in numbers])
        raw.commit()


_MANIFEST: Final = (
    "INSERT INTO manifest (repo_id, digest, media_type, annotations, size, storage_key,"
    " mirrored_at, created_at, touched_at, tagged_at, content)"
    " VALUES (?, ?, ?, '{}', 500, ?, 1, 1, 1, 1, ?)"
)
_TAG: Final = "INSERT INTO tag VALUES (?, ?, ?, ?, ?)"


def _digest(number: int) -> str:
    return "sha256:" + hashlib.sha256(str(number // TAGS_EACH).encode()).hexdigest()


def _manifest(number: int, ids: list[int]) -> tuple[Any, ...]:
    kind = "application/vnd.oci.image.manifest.v1+json"
    return ids[number // TAGS_EACH % len(ids)], _digest(number), kind, f"bench/{number}", bytes(500)


def _tag(number: int, ids: list[int], now: int, is_old: bool) -> tuple[Any, ...]:
    pushed_at = now - (60 * DAY if is_old else 0) + number
    return ids[number // TAGS_EACH % len(ids)], f"t{number}", _digest(number), pushed_at, pushed_at


def memory(server: Server) -> tuple[float, float]:
    """RSS of the worker now and at its peak, in MB."""
    text = Path(f"/proc/{server.workers[0]}/status").read_text()
    found = dict(line.split(":", 1) for line in text.splitlines())
    now, peak = (int(found[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
    return now, peak


@contextmanager
def pushes(server: Server) -> Iterator[list[float]]:
    """Push small images, one after another, until the end; seconds of each."""
    taken: list[float] = []
    stop = threading.Event()

    def push() -> None:
        while not stop.is_set():
            begin = time.perf_counter()
            server.push_image("pushes/beside", f"v{len(taken)}", layer=str(len(taken)).encode())
            taken.append(time.perf_counter() - begin)

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield taken
    finally:
        stop.set()
        thread.join()


def collect(server: Server, *, dry_run: bool) -> dict[str, Any]:
    """One run of garbage collection, from its start to its end."""
    body = json.dumps({"dryRun": dry_run}).encode()
    path = server.ask("POST", "/cais/v1/gc", body)["Location"] or ""

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = server.ask("GET", path).json
        return None if found["state"] == "Running" else found

    run: dict[str, Any] = wait_until(ended, what="the run ends", deadline=_DEADLINE)
    if run["state"] != "Succeeded":
        raise SystemExit(run["message"])
    return run


def told(name: str, server: Server, run: dict[str, Any], taken: list[float]) -> str:
    """One row of the table."""
    now, peak = memory(server)
    slow = quantiles(taken, n=100)[98] if len(taken) > 1 else 0.0
    return (
        f"| {name} | {run['durationSeconds']:.1f} | {run['tagsDeleted']:,} | {now:.0f} |"
        f" {peak:.0f} | {len(taken)} | {slow * 1000:.0f} | {max(taken, default=0) * 1000:.0f} |"
    )


def measure(server: Server, config: Path, rule: dict[str, Any]) -> None:
    def write(rules: dict[str, Any]) -> None:
        config.write_text(json.dumps(rules))
        wait_until(lambda: loaded(server, config), what="the rule is loaded")

    print("| run | seconds | tags gone | RSS MB | peak MB | pushes | p99 ms | slowest ms |")
    print("|---|---|---|---|---|---|---|---|")
    runs = (
        ("a rule that keeps all", {"retention": [{**rule, "keepNewerThan": "2400h"}]}, False),
        ("dry run", {"retention": [rule]}, True),
        ("real run", {"retention": [rule]}, False),
    )
    with pushes(server) as taken:
        time.sleep(ALONE_SECONDS)
    alone = {"durationSeconds": 0, "tagsDeleted": 0}
    print(told("none, pushes alone", server, alone, taken), flush=True)
    for name, rules, dry_run in runs:
        write(rules)
        with pushes(server) as taken:
            run = collect(server, dry_run=dry_run)
        print(told(name, server, run, taken), flush=True)


def loaded(server: Server, config: Path) -> bool:
    digest = hashlib.sha256(config.read_bytes()).hexdigest()
    files = server.ask("GET", "/cais/v1/config").json["files"]
    return digest in files.values()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tags", type=int, default=1_000_000)
    parser.add_argument("--share", type=float, default=0.1, help="of the tags that are old")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "cais.json"
        config.write_text("{}")
        with running(folder, "--config", config):
            pass  # makes the tables
        begin = time.perf_counter()
        fill(folder / "data" / "metadata.sqlite3", options.tags, options.share)
        seconds = time.perf_counter() - begin
        print(f"{options.tags:,} tags were written in {seconds:.0f} s", file=sys.stderr)
        rule = {"repositories": ["bench/**"], "keepTags": ["v*", "release-*"], "keepLast": 20}
        with running(folder, "--config", config) as server:
            measure(server, config, {**rule, "keepNewerThan": "720h", "untaggedAfter": "168h"})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
