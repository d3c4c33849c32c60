# SPDX-License-Identifier: Apache-2.0
"""Generated passwords: made when missing, replaced when asked, and never because of anything else.

What a Secret holds says how far a rotation is (`credentials`). Each step is one guarded change of
one Secret, so an operator that dies between two goes on where the Secret says, with the same
password: it draws a new one only while there is no next one.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from cais_operator import credentials, desired, names, pki
from cais_operator.cluster import Object
from cais_operator.converge import Writer
from cais_operator.credentials import Passwords
from cais_operator.names import Hosts
from cais_operator.resource import Registry
from cais_operator.settings import Settings
from cais_operator.world import World, referenced


class PasswordKeeper:
    """Keeps the Secrets of those whose passwords are generated."""

    def __init__(self, writer: Writer, settings: Settings) -> None:
        self._writer = writer
        self._settings = settings

    async def ensure(
        self, registry: Registry, world: World, hosts: Hosts, node_port: int | None, now: datetime
    ) -> dict[str, tuple[str, ...]]:
        """Bring each Secret a step further; return who is let in with what, by user name.

        Args:
            registry: The Registry.
            world: `rotate` says whose passwords are asked to be replaced; `observed.server` what
                the server has loaded.
            hosts: For the pull Secret.
            node_port: The same; None when there is none.
            now: Aware, UTC.

        Raises:
            Conflict: When a Secret changed meanwhile.
        """
        accepted = {}
        for user, secret in credentials.generated_secrets(registry).items():
            passwords = await self._step(registry, world, user, secret, now)
            manifest = self._manifest(registry, user, passwords.current, hosts, node_port)
            await self._writer.ensure_secret(world, credentials.with_others(manifest, passwords))
            accepted[user] = passwords.accepted()
        return {**accepted, **dict(_given(registry, world))}

    async def drop_unused(self, registry: Registry, world: World) -> None:
        """Delete the Secrets of users that are declared no longer; after their login has ended."""
        for name in tuple(_unused(registry, world)):
            await self._writer.remove(world, "Secret", name)

    async def _step(
        self, registry: Registry, world: World, user: str, secret: str, now: datetime
    ) -> Passwords:
        found = credentials.passwords_in(world.secret(secret))
        if found is None:
            return Passwords(current=pki.new_password())
        found = found.at(now)
        if user in world.rotate:
            return found if found.next else replace(found, next=pki.new_password())
        if found.next and await _is_known(registry, world, user, found.next):
            return found.told(now + registry.spec.access.rotation_overlap.delta).at(now)
        return found

    def _manifest(
        self, registry: Registry, user: str, password: str, hosts: Hosts, node_port: int | None
    ) -> Object:
        settings = self._settings
        if user == names.ADMIN:
            return desired.admin_secret(registry, settings, password)
        if user == names.GC:
            return desired.gc_secret(registry, settings, password)
        if user == names.PULL:
            return desired.pull_secret(registry, settings, password, hosts, node_port)
        declared = next(one for one in registry.spec.access.users if one.name == user)
        return desired.user_secret(registry, settings, declared, password)


def is_rotating(registry: Registry, world: World) -> bool:
    """Return whether a next password waits for the server to know it."""
    secrets = credentials.generated_secrets(registry).values()
    found = (credentials.passwords_in(world.secret(secret)) for secret in secrets)
    return any(one is not None and one.next is not None for one in found)


async def _is_known(registry: Registry, world: World, user: str, password: str) -> bool:
    """Whether the server has loaded a hash of a password; costs a run of bcrypt or two."""
    server, users = world.observed.server, world.secret(names.users_secret(registry))
    if server is None or users is None or not desired.has_loaded(server.files, users):
        return False
    entries = credentials.known_users(users).get(user, ())
    return await asyncio.to_thread(pki.is_hashed, password, entries)


def _given(registry: Registry, world: World) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What users bring themselves."""
    for user in registry.spec.access.users:
        ref = user.password_secret_ref
        if ref is not None:
            secret = world.observed.references.get(ref.name)
            password = credentials.password_in(secret, ref.key)
            if password is not None:
                yield user.name, (password,)


def _unused(registry: Registry, world: World) -> Iterator[str]:
    """Names of Secrets that were made for users of this very Registry, and are nobody's now."""
    used = {*credentials.generated_secrets(registry).values(), *referenced(registry)}
    for kind, name in world.bodies:
        if kind == "Secret" and name.startswith(names.USER_SECRETS.format(registry.name)):
            owners = world.bodies[kind, name]["metadata"].get("ownerReferences") or ()
            if name not in used and any(one.get("uid") == registry.uid for one in owners):
                yield name
