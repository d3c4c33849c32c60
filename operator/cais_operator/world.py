# SPDX-License-Identifier: Apache-2.0
"""What one reconcile knows: read once, kept up to date with the answers to its own writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cais_operator import backend, names
from cais_operator.cluster import Child, Children, Cluster, Object, Selection, child_of, find
from cais_operator.consumers import Account, Grant
from cais_operator.names import Hosts
from cais_operator.observed import Observed, balancer_of, has_serving_pod
from cais_operator.registry_api import Way
from cais_operator.resource import Registry
from cais_operator.settings import Settings
from cais_operator.versions import Version

Name = tuple[str, str]  # kind, name


@dataclass(slots=True, kw_only=True)
class World:
    """One Registry's surroundings.

    Attributes:
        bodies: By kind and name, the children that are there; of Secrets all, of others the parts
            that `Children` keeps.
        digests: By kind and name, what they hold of our last apply.
        observed: What `plan` and `status` judge, but for the children.
        created: What this reconcile has created, in order.
        wrote: Whether this reconcile has written anything.
        way: How to reach the server; None while there is none to reach.
        is_whole: Whether this reconcile has brought every child to what is desired.
        grants: What consumers of other namespaces may do.
        accounts: Their accounts, by user name.
        rotate: Users whose passwords people ask to have replaced.
        server: The Deployment, as it was found.
        reader: The version of a server that waits for its turn to be upgraded.
        config: The server's ConfigMap as it should be, once it was asked for.
    """

    bodies: dict[Name, Object] = field(default_factory=dict)
    digests: dict[Name, str] = field(default_factory=dict)
    observed: Observed = field(default_factory=Observed)
    created: list[Object] = field(default_factory=list)
    wrote: bool = False
    way: Way | None = None
    is_whole: bool = False
    grants: tuple[Grant, ...] = ()
    accounts: Mapping[str, Account] = field(default_factory=dict)
    rotate: frozenset[str] = frozenset()
    server: Child | None = None
    reader: Version | None = None
    config: Object | None = None

    def secret(self, name: str) -> Object | None:
        """Return a Secret with its contents."""
        return self.bodies.get(("Secret", name))

    def learn(self, **changes: object) -> None:
        """Add to what is observed."""
        self.observed = replace(self.observed, **changes)  # type: ignore[arg-type]

    def seen(self) -> Observed:
        """Return everything for `plan` and `status`."""
        return replace(self.observed, children=dict(self.bodies))


class Observer:
    """Reads the surroundings of a Registry with as few requests as can be."""

    def __init__(self, cluster: Cluster, children: Children) -> None:
        self._cluster = cluster
        self._children = children

    async def look(self, registry: Registry) -> World:
        """Read all children: Secrets in one list, others from the watches, missing ones by name."""
        world = World()
        await self._read_secrets(registry, world)
        for kind, name in _expected(registry):
            await self._read_child(registry.namespace, kind, name, world)
        world.learn(references=await self._references(registry))
        if not has_serving_pod(world.bodies.get(("Deployment", names.deployment(registry)))):
            world.learn(pods=self._children.pods.of(registry.key))
        return world

    async def pods(self, registry: Registry) -> tuple[Object, ...]:
        """List the server's pods."""
        selector = names.selector(registry, names.REGISTRY)
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        selection = Selection(kind="Pod", namespace=registry.namespace, labels=labels)
        found, _ = await self._cluster.list(selection)
        return tuple(found)

    async def _read_secrets(self, registry: Registry, world: World) -> None:
        labels = f"{names.CHILDREN},{names.INSTANCE}={registry.name}"
        selection = Selection(kind="Secret", namespace=registry.namespace, labels=labels)
        found, _ = await self._cluster.list(selection)
        for secret in found:
            world.bodies["Secret", secret["metadata"]["name"]] = secret

    async def _read_child(self, namespace: str, kind: str, name: str, world: World) -> None:
        if (kind, name) in world.bodies:
            return
        child = self._children.get(kind, namespace, name) if kind != "Secret" else None
        if child is None:  # not there, a stranger's, or not shown by the watch yet: ask
            found = await find(self._cluster, kind, namespace, name)
            if found is None:
                return
            if kind == "Secret":
                world.bodies[kind, name] = found
                return
            child = child_of(found)
        world.bodies[kind, name] = child.body
        world.digests[kind, name] = child.digest
        if kind == "Deployment":
            world.server = child

    async def _references(self, registry: Registry) -> dict[str, Object | None]:
        wanted = referenced(registry)
        namespace = registry.namespace
        return {name: await find(self._cluster, "Secret", namespace, name) for name in wanted}


def referenced(registry: Registry) -> tuple[str, ...]:
    """Return the names of the Secrets that the spec refers to, each once."""
    refs = (user.password_secret_ref for user in registry.spec.access.users)
    passwords = (ref.name for ref in refs if ref is not None)
    certificate = names.brought_secret(registry)
    others = (*([certificate] if certificate else ()), *backend.referenced(registry))
    return tuple(dict.fromkeys((*passwords, *others)))


def cluster_ips(service: Object) -> tuple[str, ...]:
    """Return the ClusterIPs of a live Service."""
    spec = service.get("spec") or {}
    found = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return tuple(ip for ip in found if ip and ip != "None")


def kinds(registry: Registry) -> tuple[str, ...]:
    """Return the kinds of `OPTIONAL_KINDS` that this Registry has to do with."""
    known = (registry.status.get("certificate") or {}).get("certificateName")
    certificate = ("Certificate",) if registry.spec.tls.cert_manager or known else ()
    routes = ("HTTPRoute", "BackendTLSPolicy") if _has_route(registry, "Gateway") else ()
    budget = ("PodDisruptionBudget",) if registry.spec.storage.mounted is None else ()
    return (*certificate, *routes, *budget)


def _has_route(registry: Registry, kind: str) -> bool:
    """Whether the spec asks for one, or the status knows of one that has to go."""
    known = (registry.status.get("endpoints") or {}).get("route", "")
    named = {"Gateway": "HTTPRoute/", "Ingress": "Ingress/"}[kind]
    return registry.spec.expose.type == kind or known.startswith(named)


def hosts_of(registry: Registry, service: Object, settings: Settings) -> Hosts:
    """Return under which names and addresses a registry with that live Service is reached."""
    return names.hosts(
        registry, cluster_ips(service), settings.cluster_domain, balancer_of(service)
    )


def node_port(service: Object) -> int | None:
    """Return the port of the nodes that a live Service has; None without one."""
    ports = (service.get("spec") or {}).get("ports") or ()
    return next((port["nodePort"] for port in ports if port.get("nodePort")), None)


def _expected(registry: Registry) -> tuple[Name, ...]:
    generated = (user for user in registry.spec.access.users if user.password_secret_ref is None)
    return (
        ("Service", names.service(registry)),
        ("NetworkPolicy", names.network_policy(registry)),
        ("NetworkPolicy", names.gc_network_policy(registry)),
        ("ServiceAccount", names.service_account(registry)),
        ("ConfigMap", names.config_map(registry)),
        ("ConfigMap", names.ca_config_map(registry)),
        *_kept(registry),
        ("Secret", names.tls_secret(registry)),
        ("Secret", names.admin_secret(registry)),
        ("Secret", names.gc_secret(registry)),
        ("Secret", names.pull_secret(registry)),
        *(("Secret", names.user_secret(registry, user)) for user in generated),
        ("Secret", names.users_secret(registry)),
        ("Secret", names.token_keys_secret(registry)),
        ("Deployment", names.deployment(registry)),
        ("CronJob", names.cron_job(registry)),
        *((kind, _named(registry, kind)) for kind in kinds(registry)),
        *([("Ingress", names.route(registry))] if _has_route(registry, "Ingress") else ()),
    )


def _kept(registry: Registry) -> tuple[Name, ...]:
    """What has to do with where the data is."""
    if registry.spec.storage.mounted is None:
        return (("Secret", backend.secret_name(registry)),)
    return (("PersistentVolumeClaim", names.claim(registry)),)


def _named(registry: Registry, kind: str) -> str:
    named = {"Certificate": names.certificate, "PodDisruptionBudget": names.deployment}
    return named.get(kind, names.route)(registry)
