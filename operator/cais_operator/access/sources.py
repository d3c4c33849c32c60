# SPDX-License-Identifier: Apache-2.0
"""What a RegistryAccess is served from: the Registry it names, its account, addresses, the CA."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from cais_operator import names, pki, plan, resource
from cais_operator.cluster import Children, Cluster, Object, find
from cais_operator.consumers import Account, accounts
from cais_operator.desired import accounts_secret
from cais_operator.errors import InvalidSpec
from cais_operator.resource import Key, Registry, RegistryAccess
from cais_operator.settings import Settings
from cais_operator.world import cluster_ips, node_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What there is for one RegistryAccess.

    Attributes:
        registry: The Registry.
        account: None while there is none.
        users: Names of all accounts that the Registry has.
        secret: The Secret with all accounts, as it was read.
        addresses: Under which the registry is reached; empty while unknown.
        bundle: PEM of the CA bundle; empty where there is none to trust.
    """

    registry: Registry
    account: Account | None = None
    users: tuple[str, ...] = ()
    secret: Object = field(default_factory=dict, repr=False)
    addresses: tuple[str, ...] = ()
    bundle: str = ""


class Sources:
    """Reads from the namespace of a Registry, one object by name at a time."""

    def __init__(self, cluster: Cluster, children: Children, settings: Settings) -> None:
        self._cluster = cluster
        self._children = children
        self._settings = settings

    async def registry(self, key: Key) -> Registry | None:
        """Return a Registry; None when it is not there, or not to be read."""
        if self._settings.namespaces and key.namespace not in self._settings.namespaces:
            return None
        body = await find(self._cluster, names.KIND, key.namespace, key.name)
        try:
            return None if body is None else resource.parse(body)
        except InvalidSpec:
            return None

    async def source(self, registry: Registry, access: RegistryAccess) -> Source:
        """Return what there is for an access that the Registry's owner allows."""
        place = (registry.namespace, registry.name)
        service = self._children.get("Service", *place)
        bundle = self._children.get("ConfigMap", registry.namespace, names.ca_config_map(registry))
        found = Source(registry=registry)
        is_known = bundle is not None or "caBundle" not in registry.status
        if service is not None and is_known:
            domain = self._settings.cluster_domain
            hosts = names.hosts(registry, cluster_ips(service.body), domain)
            found = replace(
                found,
                addresses=names.addresses(registry, hosts, node_port(service.body)),
                bundle=((bundle.body if bundle else {}).get("data") or {}).get("ca.crt", ""),
            )
        return await self._with_account(found, access)

    async def delivered(
        self, source: Source, access: RegistryAccess, now: datetime, *, is_asked: bool
    ) -> None:
        """Let the older password end, now that the newest is where it is used.

        Args:
            source: As it was read.
            access: Whose account it is.
            now: Aware, UTC.
            is_asked: Whether somebody wants another password.

        Raises:
            Conflict: When the accounts changed meanwhile: look again.
        """
        everyone, user = accounts.read(source.secret), names.account(access)
        before = everyone[user]
        after = accounts.delivered(before, access.spec.rotation.overlap.delta, now)
        if is_asked:
            after = accounts.turned(after, now, pki.new_password)
        if after != before:
            wanted = accounts_secret(source.registry, {**everyone, user: after})
            await self._cluster.replace({**source.secret, "data": wanted["data"]})

    async def _with_account(self, found: Source, access: RegistryAccess) -> Source:
        name = names.accounts_secret(found.registry)
        secret = await find(self._cluster, "Secret", found.registry.namespace, name)
        if secret is None or not plan.is_ours(found.registry, secret):
            return found
        everyone = accounts.read(secret)
        found = replace(found, users=tuple(everyone))
        account = everyone.get(names.account(access))
        if account is None or account.uid != access.uid:
            return found
        return replace(found, account=account, secret=secret)
