# SPDX-License-Identifier: Apache-2.0
"""What people ask for by an annotation, once: done, then taken off."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cais_operator import names
from cais_operator.cluster import Cluster, Object
from cais_operator.errors import Conflict, NotFound
from cais_operator.report import Reporter
from cais_operator.resource import Registry
from cais_operator.server import Server
from cais_operator.world import World

_COLLECTIONS = {"now": False, "dry-run": True}
_log = logging.getLogger(__name__)


class Requests:
    """Serves `cais.dev/gc: now` and `cais.dev/gc: dry-run` on a Registry.

    The run is started before the annotation goes. If the operator dies between the two, it is
    started again; the server then returns the run that goes on, or one more run finds nothing.
    """

    def __init__(self, cluster: Cluster, server: Server, reporter: Reporter) -> None:
        self._cluster = cluster
        self._server = server
        self._reporter = reporter

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
            await self._take_off(body)
            return False
        if not await self._server.collect(registry, world, dry_run=_COLLECTIONS[asked]):
            return False
        _log.info("garbage collection started (%s)", asked, extra={"key": registry.key})
        await self._take_off(body)
        return True

    async def _take_off(self, body: Object) -> None:
        """Remove the annotation, unless somebody has changed the object: then at the next look."""
        metadata = body["metadata"]
        change = {
            "metadata": {
                "annotations": {names.COLLECT: None},
                "resourceVersion": metadata["resourceVersion"],
            }
        }
        try:
            await self._cluster.patch(names.KIND, metadata["namespace"], metadata["name"], change)
        except (Conflict, NotFound):
            _log.debug("the annotation is looked at again")


def _annotations(body: Mapping[str, Any]) -> Mapping[str, str]:
    return body["metadata"].get("annotations") or {}
