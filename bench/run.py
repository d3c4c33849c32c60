# SPDX-License-Identifier: Apache-2.0
"""Measures the server beside its peers; `make bench` runs all of it.

    python bench/run.py [--rounds 5] [--seconds 3] [--only TEXT] [--plain] [--write FILE]

The peers take turns in every round, so that whatever else the machine does hits all of them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import listings
import load
import report
import scenarios
from peers import Peer, all_peers
from scenarios import MIB, Content, is_ours, is_registry

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.registry import make_certificate

LARGE = 512 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row of figures.

    `less` tells that a smaller figure is better; `target` is the ratio to Distribution 3.
    """

    name: str
    unit: str
    measure: Callable[[Peer], float]
    peers: list[Peer]
    target: str = ""
    less: bool = False


def reading(peers: list[Peer], content: Content, seconds: float) -> Iterator[Scenario]:
    def rate(url: str, login: str = "") -> float:
        return load.gets(url, seconds=seconds, login=login).rate

    yield Scenario(
        name="manifest GET by tag",
        unit="requests/s",
        peers=peers,
        target="3x",
        measure=lambda p: rate(content.tag(p)),
    )
    yield Scenario(
        name="manifest GET by tag, Basic authentication",
        unit="requests/s",
        peers=[p for p in peers if is_ours(p)],
        target="0.8 of anonymous",
        measure=lambda p: rate(content.tag(p), p.login),
    )
    yield Scenario(
        name="manifest HEAD by tag",
        unit="requests/s",
        peers=peers,
        target="3x",
        measure=lambda p: load.heads(content.tag(p), seconds=seconds),
    )
    yield Scenario(
        name="1 MiB blob GET",
        unit="requests/s",
        peers=peers,
        target="2x",
        measure=lambda p: rate(content.blob(p, MIB)),
    )
    yield Scenario(
        name="512 MiB blob GET, one client",
        unit="MB/s",
        peers=peers,
        target="1.7x; 1.0 of nginx",
        measure=lambda p: load.download(content.blob(p, LARGE)) / 1e6,
    )


def cold_reading(peers: list[Peer], content: Content) -> Iterator[Scenario]:
    yield Scenario(
        name="512 MiB blob GET, one client, cold",
        unit="MB/s",
        peers=peers,
        measure=lambda p: scenarios.cold(lambda: load.download(content.blob(p, LARGE)) / 1e6),
    )
    yield Scenario(
        name="manifest GET by tag, first second after a cold cache",
        unit="requests/s",
        peers=peers,
        measure=lambda p: scenarios.cold(lambda: load.gets(content.tag(p), seconds=1).rate),
    )


def writing(peers: list[Peer], seconds: float, where: str) -> Iterator[Scenario]:
    registries = [peer for peer in peers if is_registry(peer)]

    def large(peer: Peer) -> float:
        found = load.push(peer, clients=1, size=LARGE, most=1, seconds=60)
        return found["bytes"] / found["in_requests"] / 1e6

    def images(peer: Peer) -> float:
        found = load.push(peer, images=True, clients=8, seconds=seconds)
        return found["pushes"] / found["seconds"]

    yield Scenario(
        name=f"512 MiB blob PUT on {where}",
        unit="MB/s",
        peers=registries,
        target="1.2x" if where == "tmpfs" else "1.0x",
        measure=large,
    )
    yield Scenario(
        name=f"small images pushed by 8 clients on {where}",
        unit="images/s",
        peers=registries,
        target="1.5x",
        measure=images,
    )


def both(peers: list[Peer], content: Content, seconds: float) -> Iterator[Scenario]:
    registries = [peer for peer in peers if is_registry(peer)]
    yield Scenario(
        name="p99 of manifest GET while 4 clients push 100 MiB layers",
        unit="ms",
        peers=registries,
        target="1.0x",
        less=True,
        measure=lambda p: scenarios.mixed(p, content, seconds=seconds),
    )
    yield Scenario(
        name="memory after all of the above (PSS of all processes)",
        unit="MiB",
        peers=registries,
        target="1.1x",
        less=True,
        measure=scenarios.memory,
    )


def measured(scenario: Scenario, rounds: int) -> report.Row:
    """Run a scenario: each round asks every peer once."""
    figures: dict[str, list[float]] = {peer.name: [] for peer in scenario.peers}
    for number in range(rounds):
        order = scenario.peers if number % 2 == 0 else scenario.peers[::-1]
        for peer in order:
            figures[peer.name].append(scenario.measure(peer))
    row = report.Row(
        name=scenario.name,
        unit=scenario.unit,
        target=scenario.target,
        less=scenario.less,
        figures=figures,
    )
    print(report.line(row), flush=True)
    return row


def tls_and_disk(folder: Path, options: argparse.Namespace, *, tls: bool) -> list[report.Row]:
    with ExitStack() as stack:
        pair = make_certificate(folder) if tls else None
        peers = stack.enter_context(all_peers(folder / ("tls" if tls else "plain"), pair))
        content = scenarios.fill(peers, [MIB, LARGE])
        chosen = [
            *reading(peers, content, options.seconds),
            *cold_reading(peers, content),
            *writing(peers, options.seconds, "disk"),
            *both(peers, content, options.seconds),
        ]
        return [measured(s, options.rounds) for s in chosen if options.only in s.name]


def tls_and_tmpfs(folder: Path, options: argparse.Namespace) -> list[report.Row]:
    with all_peers(folder, make_certificate(folder)) as peers:
        chosen = writing(peers, options.seconds, "tmpfs")
        return [measured(s, options.rounds) for s in chosen if options.only in s.name]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--only", default="", help="scenarios whose name has this text")
    parser.add_argument("--tls-only", action="store_true")
    parser.add_argument("--write", type=Path, help="a Markdown file to write")
    options = parser.parse_args()
    build = Path(__file__).resolve().parents[1] / "build"
    sections: dict[str, list[report.Row]] = {}
    with tempfile.TemporaryDirectory(dir=build, prefix="bench-") as name:
        disk = scenarios.disk(Path(name)) / 1e6
        print(f"the disk itself: {disk:.0f} MB/s with fsync", flush=True)
        sections["TLS"] = tls_and_disk(Path(name), options, tls=True)
        if not options.tls_only:
            sections["Plain HTTP"] = tls_and_disk(Path(name), options, tls=False)
    if "tmpfs".find(options.only) >= 0 or "push" in options.only or "PUT" in options.only:
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="cais-bench-") as name:
            sections["TLS, data on tmpfs"] = tls_and_tmpfs(Path(name), options)
    figures: list[listings.Figure] = []
    if options.only in "pages of listings":
        with tempfile.TemporaryDirectory(dir=build, prefix="bench-") as name:
            figures = listings.measured(Path(name))
            print(listings.table(figures), flush=True)
    if options.write:
        text = report.page(
            sections, disk=disk, rounds=options.rounds, listings=listings.table(figures)
        )
        options.write.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
