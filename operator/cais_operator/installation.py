# SPDX-License-Identifier: Apache-2.0
"""Which installation looks after a namespace: the one that a ConfigMap in it names.

Installations are told apart by the namespace in which each has its CA. The first one writes the
ConfigMap; another one that finds it leaves all of that namespace alone. An operator of the whole
cluster needs one for the cluster besides. Each belongs to a role of its installation, so that
Kubernetes deletes it when the installation is removed.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from cais_operator import names
from cais_operator.cluster import Children, Cluster, Object
from cais_operator.errors import CaisError, Conflict, NotFound, Rejected
from cais_operator.resource import Key
from cais_operator.settings import Settings

MARK = f"{names.GROUP}/installation"  # annotation: the namespace of the installation
NAME = "cais-installation"
CLUSTER_NAME = "cais-cluster-installation"
CLUSTER_PLACE = "kube-public"  # every cluster has it, and no tenant writes there
_PAUSE = 5.0  # seconds until the next look at what is taken by name
_ABOUT = "The installation of Cais that the annotation names looks after the Registries here."
_log = logging.getLogger(__name__)

Place = tuple[str, str]  # namespace and name of a ConfigMap
_CLUSTER: Place = (CLUSTER_PLACE, CLUSTER_NAME)


class Installation:
    """This installation, and what it has seen of others."""

    def __init__(
        self, cluster: Cluster, children: Children, settings: Settings, pause: float = _PAUSE
    ) -> None:
        self._cluster = cluster
        self._children = children
        self._settings = settings
        self._pause = pause
        self._refused: dict[Place, str] = {}
        self._users: dict[str, set[tuple[str, str]]] = {}  # by namespace: kind and name
        self.is_waiting = False  # for the cluster, which another installation has

    def is_anothers(self, namespace: str) -> bool:
        """Return whether the watches have shown that a namespace is not ours to change."""
        place = (namespace, NAME)
        live = self._children.get("ConfigMap", *place)
        if live is None:
            self._refused.pop(place, None)
            return False
        return not self._is_free(place, live.body)

    def unready(self) -> str | None:
        """Return why namespaces that this operator was given are left alone; None when none is."""
        words = [self._refused[place] for place in self._named() if place in self._refused]
        return "; ".join(words) or None

    def refused(self) -> int:
        """Return in how many namespaces Registries were found that are another installation's."""
        return len(self._refused)

    async def settle(self) -> None:
        """Take what the settings name; wait while the cluster is another installation's."""
        await self._look_at_named()
        while _CLUSTER in self._refused:
            self.is_waiting = True
            await asyncio.sleep(self._pause)
            await self._look_at_named()
        self.is_waiting = False

    async def keep(self) -> None:
        """Take again what somebody deletes; never returns.

        Raises:
            CaisError: When the cluster is another installation's now.
        """
        while True:
            await asyncio.sleep(self._pause)
            await self._look_at_named()
            if _CLUSTER in self._refused:
                raise CaisError(self._refused[_CLUSTER])

    async def take(self, kind: str, key: Key) -> None:
        """Make sure that a namespace is ours before something is done for an object in it.

        Raises:
            ApiUnavailable: The API server cannot be reached.
            Conflict: It is another installation's.
        """
        await self._take((key.namespace, NAME))
        self._users.setdefault(key.namespace, set()).add((kind, key.name))

    async def leave(self, kind: str, key: Key) -> None:
        """Note that an object is gone; a namespace in which none is left is given up."""
        users = self._users.get(key.namespace, set())
        if (kind, key.name) not in users:
            return
        users.remove((kind, key.name))
        if not users:
            del self._users[key.namespace]
            await self._release(key.namespace)

    async def _release(self, namespace: str) -> None:
        place = (namespace, NAME)
        live = self._children.get("ConfigMap", *place)
        if live is None or place in self._named() or self.is_anothers(namespace):
            return
        try:
            await self._cluster.delete("ConfigMap", *place, uid=live.uid)
        except CaisError as error:  # it is looked at when the next Registry comes or goes
            _log.info("%s/%s is not deleted: %s", *place, error)
            return
        self._children.drop(live.body)

    def _named(self) -> tuple[Place, ...]:
        """What is taken before anybody asks for a Registry."""
        namespaces = self._settings.namespaces
        return tuple((one, NAME) for one in namespaces) if namespaces else (_CLUSTER,)

    async def _look_at_named(self) -> None:
        for place in self._named():
            try:
                await self._take(place)
            except Conflict:  # it was said
                continue
            except CaisError as error:
                _log.warning("%s/%s cannot be written: %s", *place, error)

    async def _take(self, place: Place) -> None:
        known = self._children.get("ConfigMap", *place)
        live = known.body if known is not None else await self._made(place)
        if live is None or self._is_free(place, live):
            return
        raise Conflict(self._refused[place])

    async def _made(self, place: Place) -> Object | None:
        """Write the claim, or return the one that is there; None when neither can be."""
        try:
            live = await self._cluster.create(await self._claim(place))
        except Conflict:
            live = await self._cluster.get("ConfigMap", *place)
        except (NotFound, Rejected) as error:
            # The namespace may be on its way out, or closed to us: that is no other installation
            _log.warning("%s/%s cannot be written: %s", *place, error)
            return None
        self._children.put(live)
        return live

    async def _claim(self, place: Place) -> Object:
        namespace, name = place
        labels = {names.MANAGED_BY: names.MANAGER, names.COMPONENT: "installation"}
        metadata = {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "annotations": {MARK: self._settings.system_namespace},
            "ownerReferences": await self._owners(namespace),
        }
        about = {"about": _ABOUT}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": about}

    async def _owners(self, namespace: str) -> list[Object]:
        """Return what the claim goes with: the role that this installation has there.

        Raises:
            NotFound, Rejected: Without it nothing would take the claim away again.
        """
        role = self._settings.role
        if not role:
            return []
        is_named = bool(self._settings.namespaces)
        kind, place = ("Role", namespace) if is_named else ("ClusterRole", "")
        live = await self._cluster.get(kind, place, role)
        owner = {"apiVersion": live["apiVersion"], "kind": kind, "name": role}
        return [owner | {"uid": live["metadata"]["uid"]}]

    def _is_free(self, place: Place, live: Mapping[str, Any]) -> bool:
        """Judge a claim, and say it once when it is another installation's."""
        holder = (live["metadata"].get("annotations") or {}).get(MARK)
        if holder == self._settings.system_namespace:
            self._refused.pop(place, None)
            return True
        words = _words(place, holder)
        if self._refused.get(place) != words:
            _log.error("%s", words)
        self._refused[place] = words
        return False


def _words(place: Place, holder: str | None) -> str:
    what = "this cluster is" if place == _CLUSTER else f"namespace {place[0]} is"
    whose = f"the installation of Cais in namespace {holder[:63]}" if holder else "another one"
    return (
        f"{what} looked after by {whose}, as the ConfigMap {'/'.join(place)} says: nothing is"
        " changed there; remove one of the two, or give each its own watchNamespaces"
    )
