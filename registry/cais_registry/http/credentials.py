# SPDX-License-Identifier: Apache-2.0
"""Checks passwords: bcrypt in few threads, and a short memory of what has been verified."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import sys
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cais_registry.http.htpasswd import MOST_PASSWORD_BYTES, Users
from cais_registry.model.errors import TooManyRequests, Unauthorized

_THREADS: Final = 2
_MOST_WAITING: Final = 64
_MOST_WAITING_EACH: Final = 16  # of one address, and of one user: a flood leaves room for others
_HOLD_SECONDS: Final = 1.0  # before someone is refused whose password is not even checked
_MOST_HELD: Final = 1024
_NICE: Final = 19  # the lowest priority
_REMEMBERED: Final = 1024
_REMEMBER_SECONDS: Final = 300.0
_RECALL_SECONDS: Final = 1.0
_NOBODY: Final = b"7EqJtq98hPqEX7fNZaFWoOhi6a6dZ7S8m0yrEZ8QnO0n8GQWq6y6S"
_USUAL_COST: Final = 10


class Verifier:
    """Tells whether a password is a user's.

    A pair that was verified is remembered as a keyed hash, never as itself, until it was not used
    for a few minutes, and only as long as the bcrypt hash that it matched is one of the user's.
    A header whose password was right is known for a second more, also as a keyed hash, until the
    users are replaced.

    Attributes:
        outcomes: How many checks succeeded, failed, or were throttled; one that is remembered is
            none.
    """

    def __init__(
        self,
        users: Users,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Start with these users.

        Args:
            users: bcrypt hashes by name.
            clock: Seconds.
            sleep: Waits for seconds.
        """
        self._headers: dict[bytes, tuple[str, float]] = {}
        self.replace(users)
        self._clock = clock
        self._sleep = sleep
        self._held = 0
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, float] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[bytes | None]] = {}
        self._waiting: Counter[tuple[str, str]] = Counter()
        self.outcomes: Counter[str] = Counter()
        self._pool = ThreadPoolExecutor(_THREADS, "bcrypt", initializer=_stand_back)

    def replace(self, users: Users) -> None:
        """Take other users from now on; what was verified with an old hash is forgotten."""
        self._users = users
        self._headers.clear()
        self._dearest = max(map(_work, users.values()), default=1 << _USUAL_COST)

    def knows(self, user: str) -> bool:
        """Tell whether there is a user of this name."""
        return user in self._users

    def recall(self, header: str) -> str | None:
        """The user of an `Authorization` header that was right a moment ago.

        Most requests come in bursts with the same header, which then needs not be read again.
        """
        known = self._headers.get(self._keyed(header.encode()))
        return known[0] if known is not None and self._clock() < known[1] else None

    def remember(self, header: str, user: str) -> None:
        """Recall the user of a header for a second; the password in it has just been verified."""
        if len(self._headers) >= _REMEMBERED:
            self._headers.clear()
        until = self._clock() + _RECALL_SECONDS
        self._headers[self._keyed(header.encode())] = (user, until)

    async def verify(self, user: str, password: str, *, client: str = "") -> bool:
        """Check a password; every one that is wrong costs the same, whoever is named.

        Args:
            user: Name, as it was sent.
            password: As it was sent.
            client: Address of whoever asks.

        Raises:
            Unauthorized: If the password is longer than any can be.
            TooManyRequests: If too many checks are waiting, of all, of the client, or of the user.
        """
        secret = await self._readable(password)
        hashes = self._users.get(user, ())
        if any(self._is_remembered(self._fingerprint(user, one, secret)) for one in hashes):
            return True
        asked_by = (("client", client), ("user", user))
        question = self._fingerprint(user, b"".join(hashes), secret)
        found = await self._check_once(question, secret, hashes, asked_by)
        self.outcomes["failure" if found is None else "success"] += 1
        if found is None:
            return False
        self._remember(self._fingerprint(user, found, secret))
        return found in self._users.get(user, ())  # it may have changed while bcrypt ran

    async def _readable(self, password: str) -> bytes:
        secret = password.encode()
        if len(secret) > MOST_PASSWORD_BYTES or b"\0" in secret:
            self.outcomes["failure"] += 1
            await self._hold_back()
            raise Unauthorized(
                f"no password is longer than {MOST_PASSWORD_BYTES} bytes, or has a NUL in it: "
                "bcrypt reads no further; this one cannot be right"
            )
        return secret

    async def _check_once(
        self,
        question: bytes,
        secret: bytes,
        hashes: tuple[bytes, ...],
        asked_by: tuple[tuple[str, str], ...],
    ) -> bytes | None:
        """Run bcrypt; requests that ask the same at the same time share one run."""
        task = self._running.get(question)
        if task is None:
            is_full = any(self._waiting[who] >= _MOST_WAITING_EACH for who in asked_by)
            if is_full or len(self._running) >= _MOST_WAITING:
                self.outcomes["throttled"] += 1
                await self._hold_back()
                raise TooManyRequests("too many passwords are being checked; try again in a second")
            task = asyncio.create_task(self._check(secret, hashes))
            self._running[question] = task
            self._waiting.update(asked_by)
            task.add_done_callback(lambda _: self._ended(question, asked_by))
        return await asyncio.shield(task)

    async def _hold_back(self) -> None:
        """Let a refusal wait: told at once, a flood would ask again at once, and fill the loop."""
        if self._held >= _MOST_HELD:
            return
        self._held += 1
        try:
            await self._sleep(_HOLD_SECONDS)
        finally:
            self._held -= 1

    def _ended(self, question: bytes, asked_by: tuple[tuple[str, str], ...]) -> None:
        self._running.pop(question, None)
        self._waiting.subtract(asked_by)
        for who in asked_by:
            if not self._waiting[who]:
                del self._waiting[who]

    async def _check(self, secret: bytes, hashes: tuple[bytes, ...]) -> bytes | None:
        padding = tuple(_decoys(self._dearest - _work(hashes)))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _first_equal, secret, hashes, padding)

    def _fingerprint(self, user: str, hashed: bytes, secret: bytes) -> bytes:
        return self._keyed(b"\0".join((user.encode(), hashed, secret)))

    def _keyed(self, text: bytes) -> bytes:
        # a keyed hash that, unlike HMAC of OpenSSL, does not hand the interpreter to other threads
        return hashlib.blake2b(text, key=self._key, digest_size=32).digest()

    def _is_remembered(self, fingerprint: bytes) -> bool:
        until = self._verified.get(fingerprint)
        if until is None or self._clock() >= until:
            return False
        self._remember(fingerprint)
        return True

    def _remember(self, fingerprint: bytes) -> None:
        self._verified[fingerprint] = self._clock() + _REMEMBER_SECONDS
        self._verified.move_to_end(fingerprint)
        while len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)


def _stand_back() -> None:
    """Let requests go first where processors are short; on Linux a thread has its own priority."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _work(hashes: tuple[bytes, ...]) -> int:
    """What comparing with all of them costs: bcrypt's work doubles with each step of its cost."""
    return sum(1 << int(hashed[4:6]) for hashed in hashes)


def _decoys(work: int) -> Iterator[bytes]:
    """Hashes that no password has and that cost so much together."""
    for cost in range(work.bit_length()):
        if work >> cost & 1:
            yield b"$2b$%02d$%s" % (cost, _NOBODY)


def _first_equal(
    secret: bytes, hashes: tuple[bytes, ...], padding: tuple[bytes, ...]
) -> bytes | None:
    """The hash that a password has; who has none works through the padding, too."""
    for hashed in hashes:
        if _bcrypt_equal(secret, hashed):
            return hashed
    for decoy in padding:
        _bcrypt_equal(secret, decoy)
    return None


def _bcrypt_equal(secret: bytes, hashed: bytes) -> bool:
    import bcrypt  # noqa: PLC0415 - a registry without users does not need it

    try:
        return bcrypt.checkpw(secret, hashed)
    except ValueError:
        return False
