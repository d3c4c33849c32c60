# SPDX-License-Identifier: Apache-2.0
"""Accounts of consumers in one Registry: issued, renewed, ended. Nobody else writes the passwords.

Level-triggered: an account without a RegistryAccess that is allowed goes, whenever and however that
one went. A new password is handed out only when the server is known to take it (`confirm`).
"""

import asyncio
import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime

from cais_operator import credentials, desired, names, pki, plan
from cais_operator.cluster import Cluster, Object, find
from cais_operator.consumers import Account, Directory, Grant, accounts, judge, room
from cais_operator.converge import Writer
from cais_operator.errors import NotFound, Rejected
from cais_operator.resource import Registry
from cais_operator.settings import Settings
from cais_operator.world import World

_log = logging.getLogger(__name__)


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

    async def withdraw(self, registry: Registry, world: World) -> None:
        """End accounts that are no longer granted, and do nothing else.

        For a Registry whose spec has problems: what its owner takes back must not wait until they
        are corrected. First the users file, as only the accounts tell whose a name was.

        Raises:
            Conflict: When a Secret changed meanwhile: read everything again.
        """
        granted = {grant.user: grant.uid for grant in world.grants}
        left = {user: it for user, it in world.accounts.items() if granted.get(user) == it.uid}
        stay = granted.keys() - (world.accounts.keys() - left.keys())
        users = world.secret(names.users_secret(registry))
        live = world.secret(names.accounts_secret(registry))
        try:
            if users is not None and plan.is_ours(registry, users):
                await self._shrink(world, users, stay)
            if left != world.accounts and live is not None and plan.is_ours(registry, live):
                await self._write(registry, world, left)
        except Rejected as refused:
            world.learn(rejected=str(refused))
        except NotFound as gone:  # deleted since it was read: nobody logs in with it
            _log.info("%s", gone, extra={"key": registry.key})

    async def _shrink(self, world: World, users: Object, stay: AbstractSet[str]) -> None:
        data = credentials.without(
            users, lambda name: not accounts.is_account(name) or name in stay
        )
        await self._writer.ensure_secret(world, {**users, "data": data})

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
