# SPDX-License-Identifier: Apache-2.0
"""The story of one RegistryAccess: key in, nothing remembered.

Is it allowed, has the Registry an account for it, does the server know the account? Then the
Secret gets the password, and the ServiceAccounts the Secret. What stands in the Secret is never
believed.
"""

import logging
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from cais_operator import desired, names, resource
from cais_operator.access import told
from cais_operator.access.pullers import Pullers
from cais_operator.access.secrets import Secrets
from cais_operator.access.sources import Source, Sources
from cais_operator.cluster import Children, Cluster, Object, find
from cais_operator.consumers import Directory, Refusal, accounts, judge, room
from cais_operator.errors import Conflict, InvalidSpec, NotFound, Rejected
from cais_operator.report import Reporter
from cais_operator.resource import Key, RegistryAccess
from cais_operator.settings import Settings
from cais_operator.status.conditions import Condition

_log = logging.getLogger(__name__)
_SOON = 10.0  # seconds between looks at what is missing and shown by no watch


class AccessReconciler:
    """Holds the tools; knows nothing of any RegistryAccess between two calls."""

    def __init__(  # noqa: PLR0913 - built in one place
        self,
        *,
        cluster: Cluster,
        children: Children,
        directory: Directory,
        settings: Settings,
        take: Callable[[str, Key], Awaitable[None]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._directory = directory
        self._settings = settings
        self._now = now
        self._take = take
        self._sources = Sources(cluster, children, settings)
        self._secrets = Secrets(cluster)
        self._pullers = Pullers(cluster)
        self._reporter = Reporter(cluster)

    async def reconcile(self, key: Key) -> float | None:
        """Bring one RegistryAccess to what its spec asks, and say how far it is.

        Returns:
            Seconds until the next look without a reason; None when it is gone.

        Raises:
            ApiUnavailable: The API server cannot be reached: try again later.
            Conflict: Something changed under the reconcile: try again soon.
        """
        body = await self._read(key)
        if body is None:
            await self._pullers.release(key)
            return None
        await self._take(names.ACCESS_KIND, key)
        try:
            access = resource.parse_access(body)
        except InvalidSpec as invalid:
            said = told.of_invalid(body, invalid.problems, self._now())
            return await self._tell(body, said)
        try:
            ready, facts = await self._grant(access, body)
        except Rejected as refused:
            ready, facts = told.failed("Rejected", str(refused)), None
        except NotFound as gone:  # the namespace is on its way out, and the access with it
            _log.info("%s", gone, extra={"key": key})
            return _SOON
        after = await self._tell(body, told.of(access, ready, facts, self._now()))
        return min(after, _SOON) if ready.waits and ready.status != "True" else after

    async def _read(self, key: Key) -> Object | None:
        body = await find(self._cluster, names.ACCESS_KIND, key.namespace, key.name)
        return None if body is None or "deletionTimestamp" in body["metadata"] else body

    async def _grant(
        self, access: RegistryAccess, body: Object
    ) -> tuple[Condition, told.Facts | None]:
        registry = await self._sources.registry(access.registry)
        found = judge(access, registry, self._directory.labels(access.namespace))
        if isinstance(found, Refusal):
            return told.refused(found), None
        if registry is None:  # never: what is not there is refused
            raise NotFound(f"Registry {access.registry}")
        source = await self._sources.source(registry, access)
        usable = None if source.account is None else accounts.usable(source.account)
        if source.account is None or usable is None or not source.addresses:
            return told.pending(access, _lacking(source, access)), None
        stranger = await self._secrets.settle(
            access,
            desired.consumer_secret(access, usable.password, source.addresses, source.bundle),
        )
        if stranger is not None:
            return told.failed("SecretNotOurs", stranger), None
        spec = access.spec
        missing = await self._pullers.settle(access.key, spec.service_accounts, spec.secret_name)
        if not registry.spec.paused:
            is_asked = names.ROTATE in (body["metadata"].get("annotations") or {})
            await self._sources.delivered(source, access, self._now(), is_asked=is_asked)
            if is_asked:
                await self._take_off(body)
        facts = told.Facts(address=source.addresses[0], credential=usable)
        return told.granted(access, source.account, missing), facts

    async def _take_off(self, body: Object) -> None:
        """Remove what asked for a new password, unless the object has changed: at the next look."""
        metadata = body["metadata"]
        change = {
            "metadata": {
                "annotations": {names.ROTATE: None},
                "resourceVersion": metadata["resourceVersion"],
            }
        }
        try:
            await self._cluster.patch(
                names.ACCESS_KIND, metadata["namespace"], metadata["name"], change
            )
        except (Conflict, NotFound):
            _log.debug("the annotation is looked at again")

    async def _tell(self, body: Object, said: dict[str, Any]) -> float:
        """Write the status; return seconds until the next look."""
        try:
            await self._reporter.report(body, said, self._now())
        except (NotFound, Conflict):
            return 0.0  # it is gone, or another one has its name: look again
        return self._settings.resync * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load


def _lacking(source: Source, access: RegistryAccess) -> Refusal | None:
    """Why there is no account, if that is for want of room."""
    if names.account(access) in source.users:
        return None
    return room.lacking(source.users, access.namespace)
