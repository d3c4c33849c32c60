# SPDX-License-Identifier: Apache-2.0
"""Pieces of bodies are taken from memory that was used before, and a server that rests is small."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# as sixteen downloads do it: some hundred pieces are on the way, and all are gone now and then
_PROGRAM = """
import asyncio, json, resource, sys
from cais_registry.app import allocation

def resident():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * resource.getpagesize()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def turn(count):
    pieces = [bytes([number % 256]) * PIECE for number in range(count)]
    while pieces:
        pieces.pop()

async def rest():
    resting = asyncio.create_task(allocation.give_back(every=0))
    for _ in range(3):
        await asyncio.sleep(0)
    resting.cancel()

PIECE = 128 * 1024
if "keeps" in sys.argv:
    allocation.keep_pieces()
turn(24)
before = faults()
for _ in range(100):
    turn(24)
found = {"faults": (faults() - before) / 2400, "before": resident()}
if "rests" in sys.argv:
    asyncio.run(rest())
print(json.dumps({**found, "after": resident()}))
"""


def ran(*words: str) -> dict[str, float]:
    command = [sys.executable, "-c", _PROGRAM, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def test_a_piece_needs_no_new_pages_of_the_kernel() -> None:
    assert ran("keeps")["faults"] < 1 < ran()["faults"]


@pytest.mark.parametrize("words", [("keeps",), ("keeps", "rests")])
def test_what_was_kept_is_given_back_in_rest(words: tuple[str, ...]) -> None:
    found = ran(*words)
    given = found["before"] - found["after"]
    assert (given > 1 << 20) == ("rests" in words), found
