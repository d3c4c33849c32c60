# SPDX-License-Identifier: Apache-2.0
"""Accounts of consumers in one Registry: issued, renewed, ended. Nobody else writes the passwords.

Level-triggered: an account without a RegistryAccess that is allowed goes, whenever and however that
one went. A new password is handed out only when the server is known to take it (`confirm`).
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from cais_operator import desired, names, pki
from cais_operator.cluster import Cluster, find
from cais_operator.consumers import Account, Directory, Grant, accounts, judge, room
from cais_operator.converge import Writer
from cais_operator.resource import Registry
from cais_operator.settings import Settings
from cais_operator.world import World


class Ledger:
    """Keeps the Secret `NAME-access`; there is none while nobody has had access."""

    def __init__(
        self, cluster: Cluster, writer: Writer, directory: Directory, settings: Settings
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._writer = writer
        self._directory = directory

    async def look(self, registry: Registry, world: World) -> None:
        """Add to the world what consumers are granted, and the accounts there are."""
        world.learn(reads_labels=not self._settings.namespaces)
        accesses = self._directory.of(registry.key)
        name = names.accounts_secret(registry)
        if accesses and world.secret(name) is None:  # its labels may be lost, or it is a stranger's
            live = await find(self._cluster, "Secret", registry.namespace, name)
            world.bodies |= {} if live is None else {("Secret", name): live}
        world.accounts = accounts.read(world.secret(name))
        grants = []
        for access in accesses:
            found = judge(access, registry, self._directory.labels(access.namespace))
            if isinstance(found, Grant):
                grants.append(found)
            await asyncio.sleep(0)  # to judge takes up to 100 ms, at the worst
        world.grants = room.first(grants, world.accounts)

    async def settle(self, registry: Registry, world: World, now: datetime) -> None:
        """Issue, renew and end accounts as granted.

        Raises:
            Conflict: When the Secret changed meanwhile: read everything again.
        """
        wanted = {
            grant.user: accounts.renewed(
                world.accounts.get(grant.user),
                uid=grant.uid,
                generation=grant.generation,
                rotation=grant.rotation,
                now=now,
                draw=pki.new_password,
            )
            for grant in world.grants
        }
        await self._write(registry, world, wanted)

    async def confirm(self, registry: Registry, world: World) -> None:
        """Note that the server takes every password and rule, if it said that it does."""
        if world.is_whole and world.observed.is_loaded:
            wanted = {user: accounts.loaded(one) for user, one in world.accounts.items()}
            await self._write(registry, world, wanted)

    def next_turn(self, world: World) -> datetime | None:
        """Return when an account has to be renewed or a password ended next; None without one."""
        times = [
            accounts.next_turn(world.accounts[grant.user], grant.rotation)
            for grant in world.grants
            if grant.user in world.accounts
        ]
        return min(times, default=None)

    async def _write(self, registry: Registry, world: World, wanted: Mapping[str, Account]) -> None:
        if not wanted and world.secret(names.accounts_secret(registry)) is None:
            return
        await self._writer.ensure_secret(world, desired.accounts_secret(registry, wanted))
        world.accounts = dict(wanted)
