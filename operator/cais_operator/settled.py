# SPDX-License-Identifier: Apache-2.0
"""Which Registries rest, and what was told of them meanwhile: an idle operator asks nobody.

Events say that something changed, and many of them are echoes: of the status and the children that
the operator has written itself, or of a list that was read again. An event that comes before the
answer to the write that it echoes cannot be told from another one. So it is kept, and judged when
its Registry has its turn.
"""

from collections.abc import Callable

from cais_operator import names
from cais_operator.cluster import Children, Identity
from cais_operator.pace import Rest
from cais_operator.registry_api import RegistryApi
from cais_operator.resource import Key


class Settled:
    """Registries that rest, and news of all."""

    def __init__(
        self,
        children: Children,
        api: RegistryApi,
        clock: Callable[[], float],
        wake: Callable[[Key], None],
    ) -> None:
        """Say with what it works.

        Args:
            children: Tells which events are echoes.
            api: How servers are asked.
            clock: Seconds.
            wake: Gives a Registry its turn.
        """
        self._children = children
        self._wake = wake
        self._api = api
        self._clock = clock
        self._resting: dict[Key, tuple[Rest, float]] = {}  # with when the rest ends
        self._news: dict[Key, set[tuple[Identity, str]]] = {}  # objects with their versions

    def told(self, key: Key, identity: Identity, version: str) -> None:
        """Keep an event for the turn of its Registry, which comes.

        Args:
            key: The Registry.
            identity: The object that has changed.
            version: Its resourceVersion.
        """
        self._news.setdefault(key, set()).add((identity, version))
        self._wake(key)

    def rest(self, key: Key, rest: Rest | None) -> None:
        """Let a Registry rest that was looked at, or not."""
        if rest is None:
            self._resting.pop(key, None)
        else:
            self._resting[key] = (rest, self._clock() + rest.longest)

    def forget(self, key: Key) -> None:
        """Forget a Registry that is gone."""
        self._resting.pop(key, None)
        self._news.pop(key, None)

    async def pause(self, key: Key, *, is_asked: bool) -> float | None:
        """Judge whether a Registry rests on, now that it has its turn.

        Args:
            key: The Registry.
            is_asked: Whether it has its turn for a reason.

        Returns:
            Seconds until the next turn; None when it has to be looked at now: all news is taken
            for read, and it rests no more.
        """
        news = self._news.pop(key, set())
        rest, until = self._resting.pop(key, (None, 0.0))
        if is_asked or rest is None or self._clock() >= until:
            return None
        if not all(self._is_echo(rest, *one) for one in news):
            return None
        if rest.way is not None and not news and await self._api.state(rest.way) != rest.state:
            return None
        self._resting[key] = (rest, until)
        return min(rest.after, max(0.0, until - self._clock()))

    def _is_echo(self, rest: Rest, identity: Identity, version: str) -> bool:
        if identity[0] == names.KIND:
            return version == rest.version
        return self._children.is_written(identity, version)
