# SPDX-License-Identifier: Apache-2.0
"""The Secret of a RegistryAccess: created, put right, and removed where it had another name.

Secrets of others are neither listed nor watched: one is read only if it has the name that the spec
asks for, and then left alone.
"""

from cais_operator import names
from cais_operator.cluster import Cluster, Object, Selection, find
from cais_operator.converge import holds, merged
from cais_operator.errors import NotFound
from cais_operator.resource import RegistryAccess

_KIND = "Secret"


class Secrets:
    """Writes to the namespace of a RegistryAccess, and to no other."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def settle(self, access: RegistryAccess, manifest: Object) -> str | None:
        """Bring the Secret to what is desired, and remove those of earlier names.

        Returns:
            Why not: somebody else's Secret has the name; None when all is well.

        Raises:
            Conflict: When it appeared or changed since it was read: look again.
        """
        own = await self._own(access)
        name = access.spec.secret_name
        live = own.pop(name, None) or await find(self._cluster, _KIND, access.namespace, name)
        if live is not None and not _is_of(live, access):
            return (
                f"Secret {name} exists and is not of this RegistryAccess: remove it, or choose "
                "another spec.secretName"
            )
        await self._put(live, manifest, access)
        for other in own.values():
            if _owner(other).get("uid") == access.uid:
                await self._delete(other)
        return None

    async def _own(self, access: RegistryAccess) -> dict[str, Object]:
        labels = f"{names.CHILDREN},{names.ACCESS}={access.name}"
        selection = Selection(kind=_KIND, namespace=access.namespace, labels=labels)
        found, _ = await self._cluster.list(selection)
        return {live["metadata"]["name"]: live for live in found}

    async def _put(self, live: Object | None, manifest: Object, access: RegistryAccess) -> None:
        if live is not None and _is_past(live, manifest, access):
            await self._delete(live)
            live = None
        if live is None:
            await self._cluster.create(manifest)
        elif not holds(live, manifest):
            await self._cluster.replace(merged(live, manifest))

    async def _delete(self, live: Object) -> None:
        metadata = live["metadata"]
        try:
            await self._cluster.delete(
                _KIND, metadata["namespace"], metadata["name"], uid=metadata["uid"]
            )
        except NotFound:
            return


def _is_of(live: Object, access: RegistryAccess) -> bool:
    """Judge whether a Secret is of the access, or of an earlier one of its name.

    One mark is enough, so that a Secret whose labels or owner were edited is put right.
    """
    owner = _owner(live)
    if owner:
        return (owner.get("kind"), owner.get("name")) == (names.ACCESS_KIND, access.name)
    labels = live["metadata"].get("labels") or {}
    marks = (labels.get(names.MANAGED_BY), labels.get(names.ACCESS))
    return marks == (names.MANAGER, access.name)


def _is_past(live: Object, manifest: Object, access: RegistryAccess) -> bool:
    """Whether it goes anyway, with an access that is no more, or is of a type it cannot keep."""
    is_old = bool(_owner(live)) and _owner(live).get("uid") != access.uid
    return is_old or live.get("type") != manifest["type"]


def _owner(live: Object) -> Object:
    owners: list[Object] = live["metadata"].get("ownerReferences") or [{}]
    return owners[0]
