# SPDX-License-Identifier: Apache-2.0
"""What people ask for by an annotation, once: done, then taken off."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cais_operator import credentials, names
from cais_operator.cluster import Cluster, Object
from cais_operator.errors import Conflict, NotFound
from cais_operator.report import Reporter
from cais_operator.resource import Registry
from cais_operator.server import Server
from cais_operator.status.conditions import stamp
from cais_operator.world import World

_COLLECTIONS = {"now": False, "dry-run": True}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Whose passwords people ask to have replaced.

    Attributes:
        users: Their names; empty when it is refused.
        refusal: Why it is; empty when it is not.
    """

    users: frozenset[str] = frozenset()
    refusal: str = ""


def wish(body: Object, registry: Registry, world: World, now: datetime) -> Wish | None:
    """Read `cais.dev/rotate: ci,pull`; None without it. All of it is done, or nothing.

    Args:
        body: The Registry as it was read.
        registry: The same, parsed.
        world: With the Secrets of its users.
        now: Aware, UTC.
    """
    asked = _annotations(body).get(names.ROTATE)
    if asked is None:
        return None
    users = [part.strip() for part in asked.split(",")]
    refusals = (_refusal(user, registry, world, now) for user in users)
    refusal = next(filter(None, refusals), "")
    if refusal:
        return Wish(refusal=f"annotation {names.ROTATE}: {refusal}; nothing was changed")
    return Wish(users=frozenset(users))


def _refusal(user: str, registry: Registry, world: World, now: datetime) -> str:
    secrets = credentials.generated_secrets(registry)
    if user not in secrets:
        given = {one.name: one.password_secret_ref for one in registry.spec.access.users}
        ref = given.get(user)
        if ref is not None:
            return f"the password of {user} is yours: change it in Secret {ref.name}"
        return f"{user[:63]!r} is no user of this Registry; known are {', '.join(sorted(secrets))}"
    found = credentials.passwords_in(world.secret(secrets[user]))
    left = None if found is None else found.at(now)
    if left is None or left.until is None:
        return ""
    return (
        f"the password of {user} was replaced, and the old one works until {stamp(left.until)}: "
        f"ask again after that, or delete Secret {secrets[user]} to have a new one at once and "
        "end the others"
    )


def collects(world: World) -> bool:
    """Whether a garbage collection runs, whoever has started it."""
    server = world.observed.server
    return bool(server and (server.gc or {}).get("current"))


class Requests:
    """Serves `cais.dev/gc` and `cais.dev/rotate` on a Registry.

    A run of garbage collection is started before the annotation goes. If the operator dies between
    the two, it is started again; the server then returns the run that goes on, or one more run
    finds nothing.
    """

    def __init__(self, cluster: Cluster, server: Server, reporter: Reporter) -> None:
        self._cluster = cluster
        self._server = server
        self._reporter = reporter

    async def close(
        self, body: Object, wish: Wish, registry: Registry, world: World, now: datetime
    ) -> None:
        """Take a wish off when it is refused, or when each of its passwords has a next one.

        From then on the Secrets tell what is to be done, and the same wish may come again.
        """
        if wish.refusal:
            await self._reporter.warn(body, "AnnotationInvalid", wish.refusal, now)
        secrets = credentials.generated_secrets(registry)
        found = [credentials.passwords_in(world.secret(secrets[user])) for user in wish.users]
        if all(one is not None and one.next is not None for one in found):
            await self._take_off(body, names.ROTATE)

    async def serve(self, body: Object, registry: Registry, world: World, now: datetime) -> bool:
        """Do what is asked for, if the server can be reached; else the next look tries again.

        Args:
            body: The Registry as it was read.
            registry: The same, parsed.
            world: How to reach its server.
            now: Aware, UTC.

        Returns:
            Whether a run was started, the end of which should be looked for soon.
        """
        asked = _annotations(body).get(names.COLLECT)
        if asked is None or registry.spec.paused:
            return False
        if asked not in _COLLECTIONS:
            allowed = ", ".join(_COLLECTIONS)
            message = f"annotation {names.COLLECT} is {asked[:40]!r}; allowed are: {allowed}"
            await self._reporter.warn(body, "AnnotationInvalid", message, now)
            await self._take_off(body, names.COLLECT)
            return False
        if not await self._server.collect(registry, world, dry_run=_COLLECTIONS[asked]):
            return False
        _log.info("garbage collection started (%s)", asked, extra={"key": registry.key})
        await self._take_off(body, names.COLLECT)
        return True

    async def _take_off(self, body: Object, annotation: str) -> None:
        """Remove the annotation, unless somebody has changed the object: then at the next look."""
        metadata = body["metadata"]
        change = {
            "metadata": {
                "annotations": {annotation: None},
                "resourceVersion": metadata["resourceVersion"],
            }
        }
        try:
            await self._cluster.patch(names.KIND, metadata["namespace"], metadata["name"], change)
        except (Conflict, NotFound):
            _log.debug("the annotation is looked at again")


def _annotations(body: Mapping[str, Any]) -> Mapping[str, str]:
    return body["metadata"].get("annotations") or {}
