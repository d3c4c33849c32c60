# SPDX-License-Identifier: Apache-2.0
"""Names of Secrets in the `imagePullSecrets` of ServiceAccounts: added, and taken off again.

What was added is written on the ServiceAccount itself, in the same request, so that it is taken off
also when nobody is left who remembers: a label finds it, an annotation says what is ours. A name
that stood there before stays.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from cais_operator import names
from cais_operator.cluster import Cluster, Object, Selection, find
from cais_operator.errors import NotFound
from cais_operator.resource import Key

MARKED = f"{names.PULL_SECRETS}=true"  # label selector
_KIND = "ServiceAccount"


class Pullers:
    """Changes ServiceAccounts of one namespace at a time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def settle(self, access: Key, wanted: Collection[str], secret: str) -> tuple[str, ...]:
        """Bring a Secret's name into the ServiceAccounts that are wanted, and out of all others.

        Args:
            access: The RegistryAccess; only its namespace is touched.
            wanted: Names of ServiceAccounts.
            secret: Name of the Secret.

        Returns:
            Those of the wanted that are not there.

        Raises:
            Conflict: When one changed meanwhile: look again.
        """
        found = await self._marked(access.namespace)
        missing = []
        for name in wanted:
            live = found.pop(name, None) or await find(self._cluster, _KIND, access.namespace, name)
            if live is None:
                missing.append(name)
            else:
                await self._change(live, changed(live, access.name, secret))
        for live in found.values():
            await self._change(live, changed(live, access.name, None))
        return tuple(missing)

    async def release(self, access: Key) -> None:
        """Take off what was added for a RegistryAccess that is gone."""
        await self.settle(access, (), "")

    async def _marked(self, namespace: str) -> dict[str, Object]:
        selection = Selection(kind=_KIND, namespace=namespace, labels=MARKED)
        found, _ = await self._cluster.list(selection)
        return {live["metadata"]["name"]: live for live in found}

    async def _change(self, live: Object, change: Mapping[str, Any] | None) -> None:
        metadata = live["metadata"]
        if change is None:
            return
        try:
            await self._cluster.patch(_KIND, metadata["namespace"], metadata["name"], change)
        except NotFound:
            return


def changed(live: Mapping[str, Any], access: str, secret: str | None) -> dict[str, Any] | None:
    """Return the merge patch that a ServiceAccount needs; None when it is as it should be.

    Args:
        live: As it was read; the patch holds only for exactly this version.
        access: Name of the RegistryAccess.
        secret: Name of its Secret; None when it should have none here.
    """
    ours = added(live)
    listed = list(live.get("imagePullSecrets") or ())
    after, before = dict(ours), ours.get(access)
    if before is not None and before != secret:
        del after[access]
        listed = [one for one in listed if one.get("name") != before]
    if secret is not None and not any(one.get("name") == secret for one in listed):
        after[access] = secret
        listed.append({"name": secret})
    if after == ours and listed == list(live.get("imagePullSecrets") or ()):
        return None
    mark, note = ("true", json.dumps(after, sort_keys=True)) if after else (None, None)
    metadata = {
        "resourceVersion": live["metadata"]["resourceVersion"],
        "labels": {names.PULL_SECRETS: mark},
        "annotations": {names.PULL_SECRETS: note},
    }
    return {"metadata": metadata, "imagePullSecrets": listed}


def added(live: Mapping[str, Any]) -> dict[str, str]:
    """Return what was added to a ServiceAccount: name of the RegistryAccess to name of the Secret.

    Whoever may write it may write the annotation: what cannot be read was not added.
    """
    note = (live["metadata"].get("annotations") or {}).get(names.PULL_SECRETS)
    try:
        found = json.loads(note or "{}")
    except (RecursionError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: secret for name, secret in found.items() if isinstance(secret, str)}
