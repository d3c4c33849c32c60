# SPDX-License-Identifier: Apache-2.0
"""Looks after the CA all the time: a watch of its Secret, and the rotation.

The Secret is watched by its name: one that somebody has put there from a backup has no label.
"""

import asyncio
import logging
from collections.abc import Callable

from cais_operator import names, rotation
from cais_operator.cluster import Children, Cluster, Object, Selection, Watch
from cais_operator.errors import CaisError
from cais_operator.rotator import Rotator
from cais_operator.waiting import woken

_log = logging.getLogger(__name__)
_PAUSE = 10.0  # seconds until the next look at the CA when one has failed


class AuthorityLoop:
    """Built once; `run` never returns.

    Attributes:
        watch: Of the CA's Secret.
    """

    def __init__(  # noqa: PLR0913 - built in one place
        self,
        cluster: Cluster,
        namespace: str,
        children: Children,
        rotator: Rotator,
        *,
        concerned: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """Say with what it works.

        Args:
            cluster: To be watched.
            namespace: Where the Secret is.
            children: Are told its version, by which it is known what has been read of it.
            rotator: Replaces the CA.
            concerned: Called when every Registry has to look at it.
            clock: Seconds.
        """
        self._children = children
        self._rotator = rotator
        self._concerned = concerned
        self._changed = asyncio.Event()
        self._known: Object | None = None
        selection = Selection(
            kind="Secret",
            namespace=namespace,
            fields=f"metadata.name={names.AUTHORITY_SECRET}",
            metadata_only=True,
        )
        self.watch = Watch(cluster, selection, listed=self._listed, changed=self._take, clock=clock)

    async def run(self) -> None:
        """Look after it: when it is due, when somebody changes it, and while it is replaced."""
        while True:
            self._changed.clear()
            pause = await self._step()
            await woken(self._changed, pause)

    async def _step(self) -> float:
        try:
            return await self._rotator.step()
        except CaisError as error:
            _log.warning("the CA cannot be looked after: %s", error)
        except Exception:  # noqa: BLE001 - a bug there must not stop the Registries
            _log.exception("the CA cannot be looked after")
        return _PAUSE

    def _listed(self, found: list[Object]) -> None:
        if not found and self._known is not None:
            self._take("DELETED", self._known)
        for one in found:
            self._take("ADDED", one)

    def _take(self, change: str, live: Object) -> None:
        """Pass a change on; what the rotation notes for people is none."""
        before = self._known
        if change == "DELETED":
            self._known = None
            self._children.drop(live)
            wakes = concerns = True
        else:
            self._known = live
            self._children.put(live)
            if before is not None and _version(before) == _version(live):
                return
            wakes, concerns = rotation.meaning(before, live)
        if wakes:
            self._changed.set()
        if concerns:
            self._concerned()


def _version(live: Object) -> str:
    return str(live["metadata"]["resourceVersion"])
