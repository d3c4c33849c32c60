# SPDX-License-Identifier: Apache-2.0
"""Many passwords at once: who is verified does not wait, and everybody else for a bounded while."""

from __future__ import annotations

import asyncio
import os
import threading

import bcrypt
import pytest

from cais_registry.http import credentials
from cais_registry.http.credentials import Verifier
from cais_registry.http.htpasswd import Users
from cais_registry.model.errors import TooManyRequests


def hashed(password: str) -> bytes:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4))


USERS: Users = {"ci": (hashed("secret"),)}


@pytest.mark.parametrize("names", [["ci"], [f"u{number}" for number in range(200)]])
async def test_a_flood_from_one_address_leaves_room_for_others(names: list[str]) -> None:
    verifier = Verifier({"ci": (hashed("secret"),), "other": (hashed("secret"),)})
    flood = [
        asyncio.create_task(verifier.verify(names[n % len(names)], f"wrong {n}", client="10.0.0.1"))
        for n in range(200)
    ]
    await asyncio.sleep(0)  # the flood is let in first
    assert await verifier.verify("other", "secret", client="10.0.0.2")
    answers = await asyncio.gather(*flood, return_exceptions=True)
    assert True not in answers
    assert not verifier._waiting


async def test_a_flood_against_one_user_leaves_room_for_others() -> None:
    verifier = Verifier({"ci": (hashed("secret"),), "other": (hashed("secret"),)})
    flood = [
        asyncio.create_task(verifier.verify("ci", f"wrong {n}", client=f"10.0.0.{n}"))
        for n in range(200)
    ]
    await asyncio.sleep(0)  # the flood is let in first
    assert await verifier.verify("other", "secret", client="10.0.1.1")
    await asyncio.gather(*flood, return_exceptions=True)


async def test_who_is_verified_waits_for_nothing_while_others_are_refused_and_held_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No thread of the pool comes to an end, and its queue is full."""
    held: list[float] = []
    second, over = asyncio.Event(), threading.Event()

    async def sleep(seconds: float) -> None:
        held.append(seconds)
        await second.wait()

    verifier = Verifier(USERS, sleep=sleep)
    assert await verifier.verify("ci", "secret")
    monkeypatch.setattr(credentials, "_bcrypt_equal", lambda *_: over.wait() and False)
    flood = [
        asyncio.create_task(verifier.verify(f"u{n}", "wrong", client=f"10.0.0.{n}"))
        for n in range(2000)
    ]
    try:
        await asyncio.sleep(0)
        assert await verifier.verify("ci", "secret", client="10.0.0.1")
        assert held == [1.0] * 1024  # with an end: more are told at once
        assert sum(task.done() for task in flood) == 2000 - 64 - 1024
    finally:
        second.set()
        over.set()
        answers = await asyncio.gather(*flood, return_exceptions=True)
    assert len([answer for answer in answers if answer is False]) == 64
    assert len([answer for answer in answers if isinstance(answer, TooManyRequests)]) == 2000 - 64


async def test_checks_have_the_lowest_priority_and_nothing_else_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, seen = priority(), []
    monkeypatch.setattr(credentials, "_bcrypt_equal", lambda *_: seen.append(priority()))
    await Verifier(USERS).verify("ci", "secret")
    assert set(seen) == {19}
    assert priority() == before < 19


def priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
