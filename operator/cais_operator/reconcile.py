# SPDX-License-Identifier: Apache-2.0
"""The story of one Registry: key in, nothing remembered.

Read, parse, observe, guard, write what differs, ask the server, report. An invalid spec and "not
ready yet" are status. `ApiUnavailable` and `Conflict` leave as exceptions: the queue comes back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cais_operator import (
    brought,
    cert_manager,
    certificates,
    claims,
    desired,
    exposure,
    names,
    nodes,
    passwords,
    plan,
    requests,
    resource,
    status,
    wanted,
)
from cais_operator.cluster import Children, Cluster, Object, digest
from cais_operator.consumers import Directory
from cais_operator.converge import Writer
from cais_operator.errors import Conflict, InvalidSpec, NotFound, Rejected
from cais_operator.identities import Identities, key_files
from cais_operator.ledger import Ledger
from cais_operator.material import Generator, Material
from cais_operator.node_trust.entries import Entry
from cais_operator.pace import Pace, Rest
from cais_operator.registry_api import RegistryApi
from cais_operator.report import Reporter, is_same
from cais_operator.requests import Requests
from cais_operator.resource import Key, Registry
from cais_operator.restarts import Restarts, announce
from cais_operator.rotation import Turns
from cais_operator.server import Server
from cais_operator.settings import Settings
from cais_operator.world import Observer, World, hosts_of, kinds, referenced

_log = logging.getLogger(__name__)
_SOON = 2.0  # seconds between looks at a garbage collection that runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a reconcile ended.

    Attributes:
        after: Seconds until the next look without a reason; None when the Registry is gone.
        references: Names of Secrets of others that the spec refers to; to be watched.
        key_files: Names of ConfigMaps of others that the spec refers to; to be watched.
        kinds: Kinds that not every cluster knows and that it has to do with; to be watched.
        rest: How it may rest until then; None when it has to be looked at.
        entry: How nodes reach the registry; None when that is not known, or may not be changed.
    """

    after: float | None
    references: tuple[str, ...] = ()
    key_files: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    entry: Entry | None = None
    rest: Rest | None = None


class Reconciler:
    """Holds the tools; knows nothing of any Registry between two calls."""

    def __init__(  # noqa: PLR0913 - built in one place
        self,
        *,
        cluster: Cluster,
        children: Children,
        directory: Directory,
        server: RegistryApi,
        settings: Settings,
        turns: Turns,
        restarts: Restarts,
        take: Callable[[str, Key], Awaitable[None]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._now = now
        self._take = take
        self._observer = Observer(cluster, children)
        self._writer = Writer(cluster, children)
        self._pace = Pace(settings.resync, now)
        self._generator = Generator(cluster, children, self._writer, settings, turns)
        self._restarts = restarts
        self._ledger = Ledger(cluster, self._writer, directory, settings)
        self._server = Server(cluster, self._observer, server)
        self._identities = Identities(cluster)
        self._reporter = Reporter(cluster)
        self._requests = Requests(cluster, self._server, self._reporter)

    async def reconcile(self, key: Key, listed: Object | None = None) -> Outcome:
        """Bring one Registry to what its spec asks, and say how far it is.

        It is read now, unless it is `listed`: as it was read a moment ago, with others.

        Raises:
            ApiUnavailable: The API server cannot be reached: try again later.
            Conflict: Something changed under the reconcile: try again soon.
        """
        self._restarts.leave(key)
        body = await self._read(key) if listed is None else _living(listed)
        if body is None:
            return Outcome(after=None)
        await self._take(names.KIND, key)
        try:
            registry = resource.parse(body)
        except InvalidSpec as invalid:
            return await self._refuse(body, invalid)
        world = await self._observer.look(registry)
        await self._judge(registry, world)
        await self._identities.look(registry, world)
        await self._ledger.look(registry, world)
        problems = plan.problems(registry, world.seen())
        may_write = not problems and not registry.spec.paused
        if may_write:
            await self._change(body, registry, world)
        elif not registry.spec.paused:
            await self._ledger.withdraw(registry, world)
        world.learn(wanted_files=wanted.files(registry, self._settings, world))
        await self._server.ask(registry, world, may_nudge=not registry.spec.paused)
        await self._ledger.confirm(registry, world)
        said = status.of(registry, world.seen(), problems, self._now())
        told = await self._tell(body, said, must_know=world.wrote)
        if told is None:
            return await self._undo(registry, world)
        started = await self._requests.serve(body, registry, world, self._now())
        is_busy = started or requests.collects(world)
        found = Outcome(after=_SOON) if is_busy else self._next(registry, world, said, told)
        entry = nodes.entry_of(registry, world) if may_write else None
        return _watching(replace(found, entry=entry), registry)

    async def _refuse(self, body: Object, invalid: InvalidSpec) -> Outcome:
        await self._tell(body, status.of_invalid(body, invalid.problems, self._now()))
        return Outcome(after=self._settings.resync)

    def _next(
        self, registry: Registry, world: World, said: Mapping[str, Any], told: Object
    ) -> Outcome:
        """Return when its next turn is, and how it may rest until then."""
        turn = self._ledger.next_turn(world)
        rest = self._pace.rest(registry, world, said, turn, told)
        after = rest.after if rest else self._pace.next(registry, world, said, turn)
        return Outcome(after=after, rest=rest)

    async def _read(self, key: Key) -> Object | None:
        try:
            body = await self._cluster.get(names.KIND, key.namespace, key.name)
        except NotFound:
            return None
        return _living(body)

    async def _judge(self, registry: Registry, world: World) -> None:
        """Judge the certificate that was brought, if one is; large keys take their time."""
        name = names.brought_secret(registry)
        if name is None:
            return
        service = world.bodies.get(("Service", names.service(registry)), {})
        hosts = hosts_of(registry, service, self._settings)
        required, secret = names.required(registry, hosts), world.observed.references.get(name)
        verdict = await asyncio.to_thread(brought.judge, secret, name, required, now=self._now())
        world.learn(brought=verdict)

    async def _change(self, body: Object, registry: Registry, world: World) -> None:
        """Write what differs, with the passwords that are asked for."""
        asked = requests.wish(body, registry, world, self._now())
        if asked is not None:
            world.rotate = asked.users
        if passwords.is_rotating(registry, world):  # what the server knows may be told
            await self._server.ask(registry, world, may_nudge=False)
        await self._write(registry, world)
        if asked is not None:
            await self._requests.close(body, asked, registry, world, self._now())

    async def _write(self, registry: Registry, world: World) -> None:
        """Service, certificate, Secrets, the rest."""
        settings = self._settings
        try:
            service = await self._service(registry, world)
            await self._ledger.settle(registry, world, self._now())
            made = await self._generator.ensure(registry, world, service, self._now())
            await self._apply_rest(registry, world, made)
            await self._take_back(registry, world, made)
            host = brought.reached_by(registry, certificates.facts_in(made.tls))
            has_bundle = bool(made.bundle)
            await exposure.expose(
                self._writer, registry, world, settings, host=host, has_bundle=has_bundle
            )
            world.is_whole = True
        except Rejected as refused:
            world.learn(rejected=str(refused))
        except NotFound as gone:  # the namespace is on its way out, and the Registry with it
            _log.info("%s", gone, extra={"key": registry.key})

    async def _apply_rest(self, registry: Registry, world: World, made: Material) -> None:
        """Apply what needs no material; the server's Deployment when it may change now."""
        deployment = desired.deployment(registry, self._settings, made.backend)
        restart = self._restarts.decide(registry, world, deployment)
        world.reader = restart.reader
        try:
            for one in wanted.rest(registry, self._settings, made, world, restart.manifest):
                await claims.apply(self._writer, world, one)
                if one is restart.manifest:
                    await announce(self._reporter, registry, restart, self._now())
        finally:
            self._restarts.done(registry.key)

    async def _take_back(self, registry: Registry, world: World, made: Material) -> None:
        """Delete what the spec no longer asks for."""
        await cert_manager.take_back(self._writer, registry, world)
        if not made.bundle:
            await self._writer.remove(world, "ConfigMap", names.ca_config_map(registry))

    async def _service(self, registry: Registry, world: World) -> Object:
        """Apply the Service; with another address when its old one is taken meanwhile.

        One that is there keeps its address by itself, and it is not written to name it.
        """
        manifest = desired.service(registry, self._settings)
        name = ("Service", names.service(registry))
        if name in world.bodies and world.digests.get(name) != digest(manifest):
            manifest["spec"].pop("clusterIP", None)
            return await self._writer.apply(world, manifest)
        try:
            return await self._writer.apply(world, manifest)
        except Rejected:
            if manifest["spec"].pop("clusterIP", None) is None:
                raise
        return await self._writer.apply(world, manifest)

    async def _undo(self, registry: Registry, world: World) -> Outcome:
        await self._writer.undo(world)
        _log.info("deleted meanwhile: children taken back", extra={"key": registry.key})
        return Outcome(after=0.0)  # another one may have its name

    async def _tell(
        self, body: Object, said: Mapping[str, Any], *, must_know: bool = False
    ) -> Object | None:
        """Write the status if it differs, which shows at once whether the Registry is still there.

        Args:
            body: The Registry as it was read.
            said: What its status should say.
            must_know: Whether to look for it also when there is nothing to write.

        Returns:
            The Registry as it is then, as far as this look has seen it; None when it is gone.

        Raises:
            Conflict, NotFound: If it is still there: a lost race is a reason to look again, never
                to take the children of a living Registry back.
        """
        try:
            written = await self._reporter.report(body, said, self._now())
        except (NotFound, Conflict):
            if await self._still_there(body):
                raise
            return None
        if written is not None:
            return written if is_same(body, written) else body
        return body if not must_know or await self._still_there(body) else None

    async def _still_there(self, body: Object) -> bool:
        metadata = body["metadata"]
        now = await self._read(Key(metadata["namespace"], metadata["name"]))
        return now is not None and now["metadata"]["uid"] == metadata["uid"]


def _watching(outcome: Outcome, registry: Registry) -> Outcome:
    """Return the outcome, with what else has to be watched for the Registry."""
    secrets, maps, others = referenced(registry), key_files(registry), kinds(registry)
    return replace(outcome, references=secrets, key_files=maps, kinds=others)


def _living(body: Object) -> Object | None:
    return None if "deletionTimestamp" in body["metadata"] else body
