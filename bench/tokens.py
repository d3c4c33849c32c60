# SPDX-License-Identifier: Apache-2.0
"""Pulls with a token beside pulls with a password and without either, from one server.

    python bench/tokens.py [--rounds 5] [--seconds 3]

The ways take turns in every round. How a token is given out is measured, too: it is a signature,
where the password was checked before.
"""

from __future__ import annotations

import argparse
import json
import ssl
import statistics
import sys
import tempfile
import urllib.request
from pathlib import Path

import load
import scenarios
from peers import ours

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.registry import make_certificate
from support.tokens import SERVICE, Key, configure

SCOPE = "repository:bench/pull:pull"
WAYS = ("nobody", "password", "token", "GET /token")


def token(url: str, login: str) -> str:
    request = urllib.request.Request(url, headers=load.authorization(login))  # noqa: S310 - our own address
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - loopback: speed is asked here
    with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 - our own address
        return f"Bearer {json.load(answer)['token']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        more = {"tokens": configure(folder, Key(), realms={})}
        with ours(folder / "server", make_certificate(folder), more) as peer:
            address = scenarios.fill([peer], []).tag(peer)
            endpoint = f"{peer.url}/token?service={SERVICE}&scope={SCOPE}"
            for _ in range(options.rounds):
                logins = ("", peer.login, token(endpoint, peer.login), peer.login)
                for way, login in zip(WAYS, logins, strict=True):
                    url = endpoint if way == "GET /token" else address
                    gets = load.gets(url, seconds=options.seconds, login=login)
                    found[way].append(gets.rate)
    password = statistics.median(found["password"])
    for way, rates in found.items():
        rate = statistics.median(rates)
        print(f"{way:12} {rate:8.0f} requests/s, {rate / password:.2f} of a password's")
    return 0


if __name__ == "__main__":
    sys.exit(main())
