# SPDX-License-Identifier: Apache-2.0
"""Checks passwords: bcrypt in few threads, and a short memory of what has been verified."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cais_registry.model.errors import TooManyRequests

_THREADS: Final = 2
_MOST_WAITING: Final = 64
_MOST_WAITING_EACH: Final = 16  # of one address, and of one user: a flood leaves room for others
_REMEMBERED: Final = 1024
_REMEMBER_SECONDS: Final = 300.0
_MOST_PASSWORD_BYTES: Final = 72  # bcrypt reads no more; longer ones would be equal to their head
_NOBODY: Final = b"7EqJtq98hPqEX7fNZaFWoOhi6a6dZ7S8m0yrEZ8QnO0n8GQWq6y6S"


class Verifier:
    """Tells whether a password is a user's.

    A pair that was verified is remembered as a keyed hash, never as itself, until it was not used
    for a few minutes, and only as long as the user's bcrypt hash stays the same.

    Attributes:
        outcomes: How many checks succeeded, failed, or were throttled; one that is remembered is
            none.
    """

    def __init__(
        self, users: Mapping[str, bytes], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with these users.

        Args:
            users: bcrypt hashes by name.
            clock: Seconds.
        """
        self._users = users
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, float] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[bool]] = {}
        self._waiting: Counter[tuple[str, str]] = Counter()
        self.outcomes: Counter[str] = Counter()
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="bcrypt")

    def replace(self, users: Mapping[str, bytes]) -> None:
        """Take other users from now on; what was verified with an old hash is forgotten."""
        self._users = users

    def knows(self, user: str) -> bool:
        """Tell whether there is a user of this name."""
        return user in self._users

    async def verify(self, user: str, password: str, *, client: str = "") -> bool:
        """Check a password; an unknown user takes as long as a wrong password.

        Args:
            user: Name, as it was sent.
            password: As it was sent.
            client: Address of whoever asks.

        Raises:
            TooManyRequests: If too many checks are waiting, of all, of the client, or of the user.
        """
        secret = password.encode()
        if len(secret) > _MOST_PASSWORD_BYTES or b"\0" in secret:
            self.outcomes["failure"] += 1
            return False
        hashed = self._users.get(user)
        fingerprint = self._fingerprint(user, hashed or b"", secret)
        if self._is_remembered(fingerprint):
            return True
        asked_by = (("client", client), ("user", user))
        is_right = await self._check_once(fingerprint, secret, hashed or self._decoy(), asked_by)
        self.outcomes["success" if is_right and hashed is not None else "failure"] += 1
        if not is_right or hashed is None:
            return False
        self._remember(fingerprint)
        return self._users.get(user) == hashed  # it may have changed while bcrypt ran

    async def _check_once(
        self,
        fingerprint: bytes,
        secret: bytes,
        hashed: bytes,
        asked_by: tuple[tuple[str, str], ...],
    ) -> bool:
        """Run bcrypt; requests that ask the same at the same time share one run."""
        task = self._running.get(fingerprint)
        if task is None:
            is_full = any(self._waiting[who] >= _MOST_WAITING_EACH for who in asked_by)
            if is_full or len(self._running) >= _MOST_WAITING:
                self.outcomes["throttled"] += 1
                raise TooManyRequests("too many passwords are being checked; try again in a second")
            task = asyncio.create_task(self._check(secret, hashed))
            self._running[fingerprint] = task
            self._waiting.update(asked_by)
            task.add_done_callback(lambda _: self._ended(fingerprint, asked_by))
        return await asyncio.shield(task)

    def _ended(self, fingerprint: bytes, asked_by: tuple[tuple[str, str], ...]) -> None:
        self._running.pop(fingerprint, None)
        self._waiting.subtract(asked_by)
        for who in asked_by:
            if not self._waiting[who]:
                del self._waiting[who]

    async def _check(self, secret: bytes, hashed: bytes) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _bcrypt_equal, secret, hashed)

    def _decoy(self) -> bytes:
        """A hash that no password has, as costly as the users' own."""
        cost = max((hashed[4:6] for hashed in self._users.values()), default=b"10")
        return b"$2b$" + cost + b"$" + _NOBODY

    def _fingerprint(self, user: str, hashed: bytes, secret: bytes) -> bytes:
        # a keyed hash that, unlike HMAC of OpenSSL, does not hand the interpreter to other threads
        parts = b"\0".join((user.encode(), hashed, secret))
        return hashlib.blake2b(parts, key=self._key, digest_size=32).digest()

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


def _bcrypt_equal(secret: bytes, hashed: bytes) -> bool:
    import bcrypt  # noqa: PLC0415 - a registry without users does not need it

    try:
        return bcrypt.checkpw(secret, hashed)
    except ValueError:
        return False
