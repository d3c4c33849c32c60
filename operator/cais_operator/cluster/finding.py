# SPDX-License-Identifier: Apache-2.0
"""An object that may be missing."""

from cais_operator.cluster.interface import Cluster, Object
from cais_operator.errors import NotFound


async def find(cluster: Cluster, kind: str, namespace: str, name: str) -> Object | None:
    """Return the object; None when it is not there."""
    try:
        return await cluster.get(kind, namespace, name)
    except NotFound:
        return None
