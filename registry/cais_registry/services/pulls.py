# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import StorageFull
from cais_registry.model.names import RepoName
from cais_registry.model.policy import Policy
from cais_registry.services.failpoints import Failpoint, no_failpoint
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.pull_rows import (
    begin_counting,
    bury_counters,
    bury_others,
    counters_silent_since,
    end_counting,
    forget_pulls,
    is_counting,
    write_pulls,
)

MOST: Final = 20_000
"""Manifests whose pulls one process remembers until it writes them down."""

HEARTBEAT: Final = 50_000_000
"""Microseconds after which a process that counts says that it lives, pulls or not."""

SILENCE: Final = 240_000_000
"""Microseconds after which one that said nothing is dead, and what it had counted is lost."""

_BATCH: Final = 200
_PATIENCE_SECONDS: Final = 90.0
_ASK_AGAIN_SECONDS: Final = 0.5


class Pulls:
    """Counts pulls of manifests for rules that keep what is pulled, without a write for each.

    They are remembered here and written down once a minute, together. A process that dies with
    some of them leaves its name behind: from then on everything counts as pulled at that moment,
    so nothing goes because its pull was lost.

    Attributes:
        patience_seconds: How long `settle` waits for other processes.
    """

    def __init__(
        self,
        database: Database,
        policy: Callable[[], Policy],
        failpoint: Failpoint = no_failpoint,
        *,
        alone: str | None = None,
    ) -> None:
        """Prepare.

        Args:
            database: Where pulls are written down.
            policy: Tells whether they are counted.
            failpoint: Called before each step that makes something durable.
            alone: Name of a hold of the database that no process without it can have beside this
                one: whoever counted under another name is dead. None where others may live.
        """
        self._database = database
        self._policy = policy
        self._failpoint = failpoint
        self.patience_seconds = _PATIENCE_SECONDS
        self._alone = alone
        self._name = f"{alone or ''}-{secrets.token_hex(8)}"
        self._counts = False
        self._seen_at = 0
        self._pulls: dict[tuple[str, str], int] = {}
        self._is_whole = True

    def note(self, repo: RepoName, digest: Digest) -> None:
        """Remember that a manifest was read just now; costs next to nothing."""
        if not self._counts:
            return
        key = (repo.value, str(digest))
        if key in self._pulls or len(self._pulls) < MOST:
            self._pulls[key] = self._database.now()
        else:
            self._is_whole = False

    async def begin(self) -> None:
        """Get ready before the first pull is served.

        On a full disk nothing is counted yet; `tick` tries again.
        """
        with suppress(StorageFull):
            await self._switch(is_start=True)

    async def tick(self) -> None:
        """Follow a change of the rules, and write down what was counted since the last time."""
        await self._switch(is_start=False)
        if not self._counts:
            return
        is_due = self._database.now() - self._seen_at >= HEARTBEAT
        await self.flush(is_heartbeat=is_due)
        if is_due:
            await self._bury()

    async def settle(self) -> bool:
        """Wait until all processes have written down what they counted up to now.

        Returns:
            False if one of them was not heard of: it may know of pulls that nobody else does.
        """
        await self.flush(is_heartbeat=True)
        end = time.monotonic() + self.patience_seconds
        silent = partial(counters_silent_since, counter=self._name, since=self._seen_at)
        while await self._database.read(silent):
            if time.monotonic() >= end:
                return False
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
            await self._bury()
        return self._counts

    async def _bury(self) -> None:
        before = self._database.now() - SILENCE
        await self._database.write(partial(bury_counters, counter=self._name, before=before))

    async def _switch(self, *, is_start: bool) -> None:
        wanted = self._policy().retention.counts_pulls
        if wanted and not self._counts:
            await self._database.write(partial(self._start, is_start=is_start))
            self._seen_at, self._counts = self._database.now(), True
        elif not wanted and (self._counts or await self._database.read(is_counting)):
            self._counts = False
            self._pulls.clear()
            await self._database.write(self._stop)

    def _start(self, connection: Connection, *, is_start: bool) -> None:
        begin_counting(connection, self._name, is_start=is_start)
        if self._alone is not None:
            bury_others(connection, self._alone)

    def _stop(self, connection: Connection) -> None:
        end_counting(connection, self._name)
        forget_pulls(connection)

    async def flush(self, *, is_heartbeat: bool = False) -> None:
        """Write down what was counted up to now; what cannot be written is kept for the next time.

        Args:
            is_heartbeat: Say that this process lives also where there is nothing to write.
        """
        counted = list(self._pulls)  # what is pulled all the time must not keep this going
        goes_on = is_heartbeat or bool(counted) or not self._is_whole
        while self._counts and goes_on:
            part, counted = counted[:_BATCH], counted[_BATCH:]
            goes_on = bool(counted)
            await self._write(part, is_all=not goes_on)

    async def _write(self, part: Sequence[tuple[str, str]], *, is_all: bool) -> None:
        batch = {key: self._pulls[key] for key in part if key in self._pulls}
        is_whole, self._is_whole = self._is_whole, True
        self._failpoint("P1")
        write = partial(
            write_pulls, counter=self._name, pulls=batch, is_whole=is_whole, is_all=is_all
        )
        try:
            await self._database.write(write)
        except BaseException:
            self._is_whole = is_whole and self._is_whole
            raise
        if is_all:
            self._seen_at = self._database.now()
        self._drop(batch)

    def _drop(self, written: dict[tuple[str, str], int]) -> None:
        for key, moment in written.items():
            if self._pulls.get(key) == moment:
                del self._pulls[key]

    async def close(self) -> None:
        """Write down the rest; after this nothing is counted any more."""
        if self._counts:
            await self.flush()
            self._counts = False
            await self._database.write(partial(end_counting, counter=self._name))
