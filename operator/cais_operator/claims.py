# SPDX-License-Identifier: Apache-2.0
"""Applies a claim: that it cannot grow is told, and stops nothing else."""

from cais_operator.cluster import Object
from cais_operator.converge import Writer
from cais_operator.errors import Rejected
from cais_operator.observed import requested
from cais_operator.world import World


async def apply(writer: Writer, world: World, manifest: Object) -> None:
    """Apply a child; a claim that is there and may not grow stays as it is.

    Args:
        writer: Writes.
        world: What is known; `observed.resize` says why the claim does not grow.
        manifest: A child of any kind.

    Raises:
        Rejected: When the API server refuses anything else.
    """
    live = world.bodies.get((manifest["kind"], manifest["metadata"]["name"]))
    try:
        await writer.apply(world, manifest)
    except Rejected as refused:
        before, wanted = requested(live), requested(manifest)
        is_growth = before is not None and wanted is not None and before < wanted
        if manifest["kind"] != "PersistentVolumeClaim" or not is_growth:
            raise
        world.learn(resize=str(refused))
