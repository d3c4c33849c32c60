# SPDX-License-Identifier: Apache-2.0
"""What is generated and then kept: the CA, certificates, passwords, the users file, keys."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cais_operator import (
    backend,
    brought,
    cert_manager,
    certificates,
    credentials,
    desired,
    names,
    pki,
    tls,
    token_keys,
)
from cais_operator.brought import Brought
from cais_operator.certificates import Authority, Leaf
from cais_operator.cluster import Children, Cluster, Object
from cais_operator.consumers.accounts import passwords as passwords_of
from cais_operator.converge import Writer
from cais_operator.errors import Conflict, NotFound, Rejected
from cais_operator.names import Hosts
from cais_operator.passwords import PasswordKeeper
from cais_operator.resource import Issued, Registry
from cais_operator.rotation import Turns
from cais_operator.settings import Settings
from cais_operator.world import World, hosts_of, node_port

AUTHORITY_VALIDITY = timedelta(days=3650)
AUTHORITY_NAME = "Cais CA"

_PUBLISHING = "a new CA is published beside the old one, and will sign the next certificate"
_REPLACING = "its CA is being replaced, and its turn comes"
_REPLACED = "it is of the new CA, and the old one is still published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Live Secrets that the server has mounted.

    Attributes:
        tls: The TLS Secret; None without TLS, and while there is no certificate.
        users: The users Secret.
        bundle: PEM of what clients should trust; empty when there is nothing to publish.
        backend: The Secret with keys and addresses of bucket and database; None with a volume.
    """

    tls: Object | None
    users: Object
    bundle: str
    backend: Object | None = None


class Generator:
    """Makes what is missing, and nothing else."""

    def __init__(
        self,
        cluster: Cluster,
        children: Children,
        writer: Writer,
        settings: Settings,
        turns: Turns,
    ) -> None:
        """Say with what it works.

        Args:
            cluster: Where the CA's Secret is.
            children: Of which version that is.
            writer: For all other Secrets.
            settings: For the operator's namespace.
            turns: Who may give up a good certificate of the CA before.
        """
        self._turns = turns
        self._cluster = cluster
        self._children = children
        self._authority: tuple[str, Authority] | None = None  # with its version
        self._writer = writer
        self._settings = settings
        self._keeper = PasswordKeeper(writer, settings)

    async def ensure(
        self, registry: Registry, world: World, service: Object, now: datetime
    ) -> Material:
        """Bring all Secrets of a Registry to what is desired.

        Raises:
            Conflict: When a Secret changed meanwhile: read everything again.
            Rejected: When the API server refuses one, or the CA is unusable.
        """
        hosts = hosts_of(registry, service, self._settings)
        authority = await self.authority(now)
        certificate, bundle = await self._certificate(registry, world, authority, hosts, now)
        passwords = await self._keeper.ensure(registry, world, hosts, node_port(service), now)
        passwords |= passwords_of(world.accounts)
        users = await self._users(registry, world, authority, passwords)
        await self._keeper.drop_unused(registry, world)
        await self._token_keys(registry, world, now)
        copy = await self._backend(registry, world)
        return Material(tls=certificate, users=users, bundle=bundle, backend=copy)

    async def authority(self, now: datetime) -> Authority:
        """Return the installation's CA; made when there is none, not replaced here.

        Raises:
            Rejected: When the Secret is there and unusable; a new CA would break every client.
        """
        namespace = self._settings.system_namespace
        known = self._children.get("Secret", namespace, names.AUTHORITY_SECRET)
        if known is not None and self._authority and self._authority[0] == known.version:
            return self._authority[1]
        subject = f"Secret {namespace}/{names.AUTHORITY_SECRET}"
        try:
            secret = await self._authority_secret(namespace, now)
            found = certificates.authority_from(secret)
        except ValueError as error:
            message = (
                f"{error}; restore it from a backup, or delete it to have a new CA made "
                "(every client must then trust the new one)"
            )
            raise Rejected(
                status=0, reason="AuthorityUnusable", message=message, subject=subject
            ) from error
        except NotFound as error:
            message = f"the operator's namespace {namespace} is not there"
            raise Rejected(
                status=404, reason="NotFound", message=message, subject=subject
            ) from error
        self._authority = (secret["metadata"]["resourceVersion"], found)
        return found

    async def _authority_secret(self, namespace: str, now: datetime) -> Object:
        try:
            return await self._cluster.get("Secret", namespace, names.AUTHORITY_SECRET)
        except NotFound:
            made = pki.new_authority(name=AUTHORITY_NAME, validity=AUTHORITY_VALIDITY, now=now)
        try:
            return await self._cluster.create(desired.authority_secret(self._settings, made))
        except Conflict:  # another worker, or another operator, was faster: theirs counts
            return await self._cluster.get("Secret", namespace, names.AUTHORITY_SECRET)

    async def _certificate(
        self, registry: Registry, world: World, authority: Authority, hosts: Hosts, now: datetime
    ) -> tuple[Object | None, str]:
        """Return the TLS Secret, and the bundle that belongs to it."""
        if registry.spec.tls.is_disabled:
            return None, ""
        if registry.spec.tls.is_issued:
            issued = await self._issued(registry, world, authority, hosts, now)
            return issued, authority.bundle
        if registry.spec.tls.cert_manager is not None:
            await cert_manager.request(self._writer, registry, world, self._settings, hosts)
        return await self._brought(registry, world)

    async def _issued(
        self, registry: Registry, world: World, authority: Authority, hosts: Hosts, now: datetime
    ) -> Object:
        live = world.secret(names.tls_secret(registry))
        issued = registry.spec.tls.issued or Issued()
        verdict = tls.decide(
            live,
            authority,
            hosts,
            renew_before=issued.renew_before.delta,
            now=now,
            may_replace=registry.key in self._turns,
        )
        leaf: Leaf
        if isinstance(verdict, tls.Keep):
            leaf = verdict.leaf
        else:
            leaf = pki.issue(
                authority, hosts, name=registry.name, validity=issued.validity.delta, now=now
            )
        manifest = desired.tls_secret(registry, self._settings, leaf, authority)
        world.learn(authority=_words(authority, leaf))
        return await self._writer.ensure_secret(world, manifest)

    async def _brought(self, registry: Registry, world: World) -> tuple[Object | None, str]:
        """Copy what was brought; when it is not good, leave what is served in its place."""
        verdict = world.observed.brought
        if isinstance(verdict, Brought):
            manifest = desired.brought_tls_secret(registry, self._settings, verdict)
            return await self._writer.ensure_secret(world, manifest), verdict.bundle
        live = world.secret(names.tls_secret(registry))
        kept = brought.serves(live)
        return (None, "") if kept is None else (live, kept.bundle)

    async def _users(
        self,
        registry: Registry,
        world: World,
        authority: Authority,
        passwords: Mapping[str, tuple[str, ...]],
    ) -> Object:
        known = credentials.known_users(world.secret(names.users_secret(registry)))
        key = pki.fingerprint_key(authority)
        former = authority.former_marks
        entries = pki.recall_users(passwords, known=known, key=key, former_key=former)
        if entries is None:  # bcrypt takes 50-100 ms for each changed password: not on the loop
            entries = await asyncio.to_thread(
                pki.hash_users, passwords, known=known, key=key, former_key=former
            )
        manifest = desired.users_secret(registry, self._settings, entries)
        return await self._writer.ensure_secret(world, manifest)

    async def _backend(self, registry: Registry, world: World) -> Object | None:
        """Copy what pods mount; another content gets another revision, which replaces the pods."""
        given = backend.given(registry, world.observed.references)
        if not given:
            return None
        live = world.secret(backend.secret_name(registry))
        revision = backend.revision(live, given) or pki.new_revision()
        manifest = desired.backend_secret(registry, self._settings, given, revision)
        return await self._writer.ensure_secret(world, manifest)

    async def _token_keys(self, registry: Registry, world: World, now: datetime) -> None:
        known = token_keys.known(world.secret(names.token_keys_secret(registry)), now)
        keys = token_keys.turned(known, now, lambda: pki.new_token_key(now))
        issuers = world.observed.issuers
        manifest = desired.token_keys_secret(registry, self._settings, keys, issuers)
        await self._writer.ensure_secret(world, manifest)


def _words(authority: Authority, leaf: Leaf) -> str:
    """Return what a person should know of a CA that is being replaced."""
    if authority.former:
        is_new = certificates.is_signed_by(leaf.certificate, authority.certificate)
        return _REPLACED if is_new else _REPLACING
    return _PUBLISHING if authority.is_followed else ""
