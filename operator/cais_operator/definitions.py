# SPDX-License-Identifier: Apache-2.0
"""Waits for the definitions of our kinds: before they are there, nothing can be done."""

import asyncio
import logging
import signal

from cais_operator import names
from cais_operator.cluster import Cluster, Selection, pause_after
from cais_operator.errors import CaisError
from cais_operator.settings import Settings

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_log = logging.getLogger(__name__)


async def served(cluster: Cluster, settings: Settings, stop: asyncio.Event) -> bool:
    """Wait until the API server knows our kinds (kopf looks for them only once), or for the end.

    Args:
        cluster: Is asked.
        settings: For the namespaces.
        stop: Ends it, and is set by signals meanwhile: as the first process of a container one
            ends by none that it does not take.

    Returns:
        False when it was told to stop.
    """
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:  # until kopf takes them
        loop.add_signal_handler(number, stop.set)
    known = asyncio.create_task(_known(cluster, next(iter(settings.namespaces), None)))
    told = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({known, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        known.cancel()
        told.cancel()
        await asyncio.gather(known, told, return_exceptions=True)
    if stop.is_set():
        return False
    await known
    return True


async def _known(cluster: Cluster, namespace: str | None) -> None:
    for kind in (names.KIND, names.ACCESS_KIND):
        selection = Selection(kind=kind, namespace=namespace, metadata_only=True)
        failures = 0
        while not await _is_known(cluster, selection):
            failures += 1
            await asyncio.sleep(pause_after(failures))


async def _is_known(cluster: Cluster, selection: Selection) -> bool:
    try:
        async for _ in cluster.pages(selection, 1):
            break
    except CaisError as error:
        _log.warning("waiting for the resource definition of %s: %s", selection.kind, error)
        return False
    return True
