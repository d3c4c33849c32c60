# SPDX-License-Identifier: Apache-2.0
"""Restarts servers: at once where the owner or a repair asks for it, after an upgrade in turn.

Who has a turn is told by the Deployments, so that the next operator counts the same. Remembered
here is only who waits, which the first look at each Registry brings about anew.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cais_operator import __version__, backend, names, rollout, versions
from cais_operator.cluster import Child, Children, Object, part_digest
from cais_operator.report import Reporter
from cais_operator.resource import Key, Registry
from cais_operator.rollout import Cause, Fleet, Stage, Template
from cais_operator.settings import Settings
from cais_operator.status.conditions import stamp
from cais_operator.versions import Version
from cais_operator.waiting import woken
from cais_operator.world import World

CHANGE_CAUSE = "kubernetes.io/change-cause"  # what `kubectl rollout history` shows
_LOOK = 5.0  # seconds between looks at who has become ready, while others wait
_FRESH = 1.0  # seconds for which the count holds without a change
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """What becomes of a Deployment.

    Attributes:
        manifest: To be applied; None while it waits for its turn.
        cause: Why its template changes; None when it does not.
        words: The same for a person.
        reader: The version of the server that goes on running while it waits.
    """

    manifest: Object | None
    cause: Cause | None
    words: str = ""
    reader: Version | None = None


class Restarts:
    """Gives turns."""

    def __init__(
        self,
        children: Children,
        settings: Settings,
        invite: Callable[[Key], None],
        note: Callable[[int, Fleet], None] = lambda *_: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Say with what it works.

        Args:
            children: Where the Deployments are.
            settings: How many turns there are.
            invite: Called with whoever should ask for its turn again.
            note: Told how many wait, and who else is on the way.
            now: Gives the time, aware.
        """
        self._children = children
        self._settings = settings
        self._invite = invite
        self._note = note
        self._now = now
        self._waiting: dict[Key, None] = {}
        self._granted: set[Key] = set()
        self._wake = asyncio.Event()
        self._seen: tuple[float, Fleet] | None = None
        self._was_stopped = False

    def decide(self, registry: Registry, world: World, manifest: Object) -> Restart:
        """Decide whether a Deployment is changed now; a turn that is given lasts until `done`."""
        child = world.server
        wanted = Template(
            digest=part_digest(manifest["spec"]["template"]),
            asked=rollout.asked(registry, backend.mounted(manifest)),
        )
        why = _cause(registry, wanted, child)
        began = None if child is None else rollout.restarted(child.body)
        if child is not None:
            stage = rollout.stage(child.body, self._settings.rollout_deadline, self._now())
            world.learn(is_late=stage is Stage.FAILED)
        if why is Cause.UPGRADED:
            if not self._turn(registry.key):
                world.learn(turn=self._words())
                reader = versions.pinned(registry) or versions.running(registry)
                return Restart(manifest=None, cause=why, reader=reader)
            began = self._now()
        elif why is not None:
            began = None
        words = _why(why, manifest, child)
        return Restart(manifest=_marked(manifest, wanted, began, words), cause=why, words=words)

    def leave(self, key: Key) -> None:
        """Wait no more: it is looked at now, and asks again if it has to."""
        self._waiting.pop(key, None)

    def done(self, key: Key) -> None:
        """End what `decide` began: its Deployment tells the rest."""
        if key in self._granted:
            self._granted.remove(key)
            self.changed()

    def changed(self) -> None:
        """A Deployment has changed: somebody may be ready again."""
        self._seen = None
        if self._waiting:
            self._wake.set()

    async def run(self) -> None:
        """Invite whoever waits as soon as turns are free; never returns."""
        while True:
            self._wake.clear()
            for key in list(self._waiting)[: self._free()]:
                self._invite(key)
            await woken(self._wake, _LOOK if self._waiting else None)

    def _turn(self, key: Key) -> bool:
        if self._free() > 0:
            self._granted.add(key)
            return True
        self._waiting[key] = None
        self._wake.set()
        return False

    def _free(self) -> int:
        fleet = self._fleet()
        self._note(len(self._waiting), fleet)
        return fleet.free(self._settings, {(key.namespace, key.name) for key in self._granted})

    def _fleet(self) -> Fleet:
        """Count, and remember that for a moment: a thousand may ask one after another."""
        clock = time.monotonic()
        if self._seen is None or clock - self._seen[0] > _FRESH:
            deployments = self._children.of_kind("Deployment")
            self._seen = (clock, rollout.fleet(deployments, self._settings, self._now()))
        fleet = self._seen[1]
        is_stopped = fleet.is_stopped(self._settings)
        if is_stopped and not self._was_stopped:
            _log.warning("the upgrade stands still: %s", _stopped(fleet))
        self._was_stopped = is_stopped
        return fleet

    def _words(self) -> str:
        fleet = self._fleet()
        if fleet.is_stopped(self._settings):
            return f"an upgrade waits, as it stands still: {_stopped(fleet)}"
        most = self._settings.rollout_max_concurrent
        return f"an upgrade waits for its turn, as at most {most} servers restart at once"


async def announce(reporter: Reporter, registry: Registry, restart: Restart, now: datetime) -> None:
    """Write an Event that says why the pod is replaced."""
    if restart.cause in (None, Cause.CREATED):
        return
    metadata = {"name": registry.name, "namespace": registry.namespace, "uid": registry.uid}
    await reporter.tell({"metadata": metadata}, restart.cause.reason, restart.words, now)


def _cause(registry: Registry, wanted: Template, child: Child | None) -> Cause | None:
    if child is None:
        return Cause.CREATED
    annotations = child.body["metadata"]["annotations"]
    seen = Template(
        digest=child.template,
        asked=annotations.get(names.ASKED, ""),
        applied=annotations.get(names.TEMPLATE, ""),
    )
    runs = versions.running(registry)
    lacks = runs is not None and any(versions.lacking(registry.spec, runs))
    return rollout.cause(wanted, seen, is_available=rollout.is_available(child.body), lacks=lacks)


def _marked(manifest: Object, wanted: Template, began: datetime | None, words: str) -> Object:
    marks = {names.TEMPLATE: wanted.digest, names.ASKED: wanted.asked}
    if words:
        marks[CHANGE_CAUSE] = words
    if began is not None:
        marks[names.RESTARTED] = stamp(began)
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": marks}}


def _why(cause: Cause | None, manifest: Object, child: Child | None) -> str:
    """Return why it restarts, or has restarted last; empty when it never did."""
    if child is None:
        return ""
    if cause is None:
        return str(child.body["metadata"]["annotations"].get(CHANGE_CAUSE, ""))
    if cause is Cause.EDITED:
        return "the server restarts: its Deployment was changed by somebody, and is put back"
    image = manifest["spec"]["template"]["spec"]["containers"][0]["image"]
    change = f"image {child.image} becomes {image}" if child.image != image else ""
    if cause is Cause.ASKED:
        return f"the server restarts, as the spec asks: {change or 'its pod is another'}"
    by = f"operator {__version__} describes its pod differently"
    return f"the server restarts for an upgrade: {change or by}"


def _stopped(fleet: Fleet) -> str:
    shown = sorted("/".join(one) for one in fleet.failed)[:3]
    return (
        f"{len(fleet.failed)} servers are not ready after their restart ({', '.join(shown)}); "
        "repair those, or go back to the version from before"
    )
