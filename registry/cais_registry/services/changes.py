# SPDX-License-Identifier: Apache-2.0
"""The one way by which clients change what is stored (docs/adr/0023)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from cais_registry.model.digest import Digest
from cais_registry.model.errors import QuotaExceeded
from cais_registry.model.policy import Policy
from cais_registry.services.room import Room, room_for
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.usage_rows import stored_bytes

T = TypeVar("T")
_PATIENCE_SECONDS: Final = 1.0


class Changes:
    """Transactions that keep to the policy of their own moment.

    Attributes:
        policy: Gives what holds; ask anew at each use, and inside of each transaction.
    """

    def __init__(
        self,
        database: Database,
        policy: Callable[[], Policy],
        reclaimable: Callable[[], Awaitable[int]],
    ) -> None:
        """Prepare.

        Args:
            database: Where the changes are made.
            policy: Gives what holds; asked inside of each transaction.
            reclaimable: Counts what garbage collection can give back, for messages.
        """
        self._database = database
        self.policy = policy
        self._reclaimable = reclaimable

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do what a client asks for, in a transaction, as `Database.write` does.

        Raises:
            ReadOnly: If the registry is read-only; nothing was changed.
            QuotaExceeded: If more would be stored, and more than the quota; nothing was changed.
        """
        try:
            return await self._database.write(partial(self._kept, work))
        except QuotaExceeded as error:
            raise await self.explained(error) from None

    def _kept(self, work: Callable[[Connection], T], connection: Connection) -> T:
        policy = self.policy()
        policy.check_writable()
        if policy.quota is None:
            return work(connection)
        before = stored_bytes(connection)
        result = work(connection)
        after = stored_bytes(connection)
        if after > max(before, policy.quota):  # what adds nothing passes also above the quota
            raise QuotaExceeded(used=before, added=after - before, limit=policy.quota)
        return result

    async def room(self, digest: Digest | None, size: int = 0) -> Room | None:
        """What the quota leaves for an upload at this moment; None without a quota.

        Args:
            digest: What it is going to be; None while that is open.
            size: Bytes that it is known to have.

        Raises:
            QuotaExceeded: If these do not fit.
        """
        limit = self.policy().quota
        if limit is None:
            return None
        room = await self._database.read(partial(room_for, digest=digest, limit=limit))
        try:
            room.check(size)
        except QuotaExceeded as error:
            raise await self.explained(error) from None
        return room

    async def explained(self, error: QuotaExceeded) -> QuotaExceeded:
        """The same error, which also tells what garbage collection can give back, if that is known.

        Counting may take long where much waits to be collected; nobody waits for it.
        """
        if error.free_soon is not None:
            return error
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                free_soon = await self._reclaimable()
        except TimeoutError:
            return error
        return QuotaExceeded(
            used=error.used, added=error.added, limit=error.limit, free_soon=free_soon
        )
