# SPDX-License-Identifier: Apache-2.0
"""Writes, and only what differs: an apply for what we own, a guarded change for what we generated.

Generated material (Secrets) is never applied by force: it is created, where 409 means that someone
was faster and the whole story is read again, and changed only at the resourceVersion that was read.
So neither a stale view nor a resumed leader can overwrite a key.
"""

import logging
from collections.abc import Mapping
from typing import Any

from cais_operator.cluster import Child, Children, Cluster, Object, digest
from cais_operator.errors import Conflict, NotFound, Rejected
from cais_operator.world import World

_RECREATE = {"type": "Recreate"}
_log = logging.getLogger(__name__)


class Writer:
    """Brings objects to what is desired."""

    def __init__(self, cluster: Cluster, children: Children) -> None:
        self._cluster = cluster
        self._children = children

    async def apply(self, world: World, manifest: Object) -> Object:
        """Server-side apply unless the live object already holds exactly this.

        Returns:
            The parts of the live object that `Children` keeps.
        """
        name = (manifest["kind"], manifest["metadata"]["name"])
        before = world.bodies.get(name)
        if before is not None and world.digests.get(name) == digest(manifest):
            return before
        live = await self._applied(manifest)
        child = self._noted(world, live, before)
        world.bodies[name], world.digests[name] = child.body, child.digest
        return child.body

    async def _applied(self, manifest: Object) -> Object:
        """Apply; what somebody's RollingUpdate has left behind forbids Recreate, and goes first.

        An apply takes no field away from others, and the API server has filled these in for them.
        """
        try:
            return await self._cluster.apply(manifest)
        except Rejected as refused:
            strategy = manifest.get("spec", {}).get("strategy")
            if strategy != _RECREATE or "rollingUpdate" not in refused.message:
                raise
        metadata, cleared = manifest["metadata"], {**_RECREATE, "rollingUpdate": None}
        place = (manifest["kind"], metadata["namespace"], metadata["name"])
        await self._cluster.patch(*place, {"spec": {"strategy": cleared}})
        return await self._cluster.apply(manifest)

    async def remove(self, world: World, kind: str, name: str) -> None:
        """Delete a child that is there and no longer desired."""
        before = world.bodies.get((kind, name))
        if before is None:
            return
        metadata = before["metadata"]
        try:
            await self._cluster.delete(kind, metadata["namespace"], name, uid=metadata["uid"])
        except (NotFound, Conflict):
            return  # gone already, or another one: the next look tells
        world.wrote = True
        self._children.drop(before)
        del world.bodies[kind, name]
        _log.info("deleted %s %s/%s", kind, metadata["namespace"], name)

    async def undo(self, world: World) -> None:
        """Delete what was created for a Registry that went away meanwhile; data stays."""
        for made in world.created:
            metadata = made["metadata"]
            if not metadata.get("ownerReferences"):
                continue
            try:
                await self._cluster.delete(
                    made["kind"], metadata["namespace"], metadata["name"], uid=metadata["uid"]
                )
            except (NotFound, Conflict):
                continue

    async def ensure_secret(self, world: World, manifest: Object) -> Object:
        """Create a Secret, or bring the one that was read to what is desired.

        Raises:
            Conflict: When it appeared or changed since it was read: read everything again.
        """
        name = (manifest["kind"], manifest["metadata"]["name"])
        before = world.bodies.get(name)
        if before is None:
            live = await self._cluster.create(manifest)
        elif holds(before, manifest):
            return before
        else:
            live = await self._cluster.replace(merged(before, manifest))
        self._noted(world, live, before)
        world.bodies[name] = live
        return live

    def _noted(self, world: World, live: Object, before: Object | None) -> Child:
        world.wrote = True
        metadata = live["metadata"]
        what = f"{live['kind']} {metadata['namespace']}/{metadata['name']}"
        _log.info("%s %s", "changed" if before else "created", what)
        if before is None:
            world.created.append(live)
        return self._children.put(live, is_written=True)


def holds(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether a Secret is as desired: exactly its data, at least its metadata."""
    return bool(merged(live, wanted) == live)


def merged(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> Object:
    """Return the live Secret with the desired data in place of its own, and our metadata added."""
    metadata, ours = dict(live["metadata"]), wanted["metadata"]
    result: Object = {**live, "metadata": metadata, "data": dict(wanted.get("data") or {})}
    for part in ("labels", "annotations"):
        if ours.get(part):
            metadata[part] = {**(metadata.get(part) or {}), **ours[part]}
    if ours.get("ownerReferences"):
        metadata["ownerReferences"] = ours["ownerReferences"]
    return result
