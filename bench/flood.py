# SPDX-License-Identifier: Apache-2.0
"""Pulls of a user whose password is verified, alone and beside a flood of wrong passwords.

    python bench/flood.py [--rounds 5] [--seconds 3] [--connections 64]

The flood sends a new wrong password with each request, as fast as it is answered; one that is
checked, or one that is too long for that. The ways take turns in every round.
"""

from __future__ import annotations

import argparse
import base64
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import load
import scenarios
from peers import Peer, ours

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.registry import make_certificate

WAYS = ("alone", "beside refusals", "beside checks")
TOO_LONG = 73  # bytes; refused without bcrypt
GUESSES = 20_000
_COST = 10
_SCRIPT = """
local logins = {}
for line in io.lines("%s") do logins[#logins + 1] = "Basic " .. line end
local at = 0
function request()
  at = at %% #logins + 1
  return wrk.format("GET", nil, {Authorization = logins[at]})
end
"""


def guesses(folder: Path, name: str, length: int) -> Path:
    """A script for wrk that sends another wrong password each time."""
    lines = (f"bench:{secrets.token_hex(length)[:length]}".encode() for _ in range(GUESSES))
    listed, script = folder / f"{name}.txt", folder / f"{name}.lua"
    listed.write_text("".join(f"{base64.b64encode(line).decode()}\n" for line in lines))
    script.write_text(_SCRIPT % listed)
    return script


@contextmanager
def flood(peer: Peer, script: Path, connections: int) -> Iterator[None]:
    """Send from so many connections while the body runs."""
    command = ["wrk", "-t1", f"-c{connections}", "-d600s", "--timeout", "60s", "-s", str(script)]
    with subprocess.Popen([*command, f"{peer.url}/v2/"], stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def measure(peer: Peer, url: str, script: Path | None, options: argparse.Namespace) -> load.Gets:
    """Pull over and over from one connection, so that its latency is not that of a queue."""
    if script is None:
        return load.gets(url, connections=1, seconds=options.seconds, login=peer.login)
    with flood(peer, script, options.connections):
        return load.gets(url, connections=1, seconds=options.seconds, login=peer.login)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    found: dict[str, list[load.Gets]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scripts = (None, guesses(folder, "long", TOO_LONG), guesses(folder, "wrong", 20))
        with ours(folder / "server", make_certificate(folder), cost=_COST) as peer:
            address = scenarios.fill([peer], []).tag(peer)
            for _ in range(options.rounds):
                for way, script in zip(WAYS, scripts, strict=True):
                    found[way].append(measure(peer, address, script, options))
    alone = _median(found["alone"])
    print(f"{'':16} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8}   of what it is alone")
    for way, rounds in found.items():
        one = _median(rounds)
        ratios = ", ".join(f"{mine / its:.2f}" for mine, its in zip(one, alone, strict=True))
        print(f"{way:16} {one[0]:10.0f} {one[1]:8.2f} {one[2]:8.2f}   {ratios}")
    return 0


def _median(rounds: list[load.Gets]) -> tuple[float, float, float]:
    columns = zip(*((one.rate, one.p50, one.p99) for one in rounds), strict=True)
    rate, p50, p99 = (statistics.median(column) for column in columns)
    return rate, p50, p99


if __name__ == "__main__":
    sys.exit(main())
