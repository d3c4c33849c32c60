# SPDX-License-Identifier: Apache-2.0
"""Replaces the installation's CA, step by step, and never ahead of the clients.

The phases are those of `rotation`. What is remembered stands in the CA's Secret; a process that
begins anew goes on from there.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cais_operator import certificates, names, pki, rotation
from cais_operator.certificates import Authority
from cais_operator.cluster import Cluster, Object
from cais_operator.errors import Conflict, NotFound
from cais_operator.material import AUTHORITY_NAME, AUTHORITY_VALIDITY
from cais_operator.metrics import AuthorityGauges
from cais_operator.report import Reporter
from cais_operator.resource import Key
from cais_operator.rotation import Phase, Rotation, Turns
from cais_operator.settings import Settings
from cais_operator.status.conditions import stamp
from cais_operator.survey import Survey, Waiting

AT_ONCE = 4  # Registries that change their certificate at a time
_SOON = 2.0  # seconds until the next look while Registries are waited for
_PERIODS = 12  # of the resync, while nothing is to be done: a change of the Secret is told
_WHOLE = timedelta(seconds=1)  # stamps are cut to whole seconds, and no overlap is cut short
_SHOWN = 5  # Registries that are named
_NOW = "now"  # the one word of the annotation
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one look has found."""

    secret: Object
    authority: Authority
    rotation: Rotation
    now: datetime


class Rotator:
    """Holds the tools; knows nothing between two steps but whose turn it is."""

    def __init__(  # noqa: PLR0913 - built in one place
        self,
        *,
        cluster: Cluster,
        survey: Survey,
        settings: Settings,
        turns: Turns,
        metrics: AuthorityGauges,
        queue: Callable[[Key], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._survey = survey
        self._reporter = Reporter(cluster)
        self._settings = settings
        self._turns = turns
        self._metrics = metrics
        self._queue = queue
        self._now = now

    async def step(self) -> float:
        """Look where the rotation is, and do what comes next, at most one change of the phase.

        Returns:
            Seconds until the next look.

        Raises:
            ApiUnavailable, Rejected: The API server said no: try again later.
        """
        try:
            secret = await self._cluster.get(
                "Secret", self._settings.system_namespace, names.AUTHORITY_SECRET
            )
            authority = certificates.authority_from(secret)
        except (NotFound, ValueError):  # the first Registry has it made, or says what is wrong
            return self._settings.resync
        now = self._now()
        found = rotation.read(secret)
        look = _Look(secret=secret, authority=authority, rotation=found, now=now)
        phases = [phase.value for phase in Phase]
        self._metrics.note(found.phase.value, phases, found.since, _end(authority))
        try:
            return await self._go_on(look)
        except Conflict:  # somebody else has changed it: look again
            return 0.0

    async def _go_on(self, look: _Look) -> float:
        word = rotation.asked(look.secret)
        if word is not None and (word != _NOW or look.rotation.phase is not Phase.STEADY):
            return await self._refuse(look, word)
        if look.rotation.phase is Phase.PUBLISHING:
            return await self._publish(look)
        if look.rotation.phase is Phase.REPLACING:
            return await self._replace(look)
        self._turns.set(())
        self._metrics.waiting.set(0)
        begins = rotation.due(look.authority, self._settings.ca_renew_before)
        if word is None and look.now < begins:
            return _until(begins, look.now, _PERIODS * self._settings.resync)
        why = "as the annotation asks" if word else f"as it ends {stamp(_end(look.authority))}"
        return await self._begin(look, why)

    async def _refuse(self, look: _Look, word: str) -> float:
        """Take an annotation off that asks for what cannot be."""
        message = f"annotation {names.ROTATE} is {word[:40]!r}; allowed is: {_NOW}"
        if word == _NOW:
            message = "the CA is being replaced already; ask again when that is done"
        await self._save(rotation.served(look.secret))
        await self._reporter.warn(look.secret, "AnnotationInvalid", message, look.now)
        return 0.0

    async def _begin(self, look: _Look, why: str) -> float:
        new = pki.new_authority(name=AUTHORITY_NAME, validity=AUTHORITY_VALIDITY, now=look.now)
        live = await self._save(rotation.begun(look.secret, new, look.now))
        message = f"a new CA is published beside the old one, {why}"
        await self._reporter.tell(live, "AuthorityRotationStarted", message, look.now)
        return 0.0

    async def _publish(self, look: _Look) -> float:
        """Wait until clients have both CAs, and for long enough; then let the new one sign."""
        try:
            rotation.following(look.secret)
            if not rotation.is_announced(look.secret, look.authority):
                await self._save(rotation.announced(look.secret, look.now))
                return 0.0
        except ValueError as error:
            message = f"the CA is not replaced: {error}"
            await self._reporter.warn(look.secret, "AuthorityRotationRefused", message, look.now)
            return self._settings.resync
        if _end(look.authority) > look.now:  # one that has ended is believed by nobody
            waiting = await self._survey.unpublished(look.authority, look.now)
            pause = await self._wait(look, waiting, "both CAs are published", "certificates change")
            if pause is not None:
                return pause
        live = await self._save(rotation.switched(look.secret, look.now))
        message = "the new CA signs; the Registries get certificates of it one after another"
        await self._reporter.tell(live, "AuthorityRotationReplacing", message, look.now)
        return 0.0

    async def _replace(self, look: _Look) -> float:
        """Wait until every server was seen to serve a new certificate, and for long enough."""
        if certificates.facts(look.authority.former).not_after > look.now:
            waiting = await self._survey.unserved(look.authority, look.now)
            self._let(waiting)
            pause = await self._wait(
                look, waiting, "certificates are replaced", "the old CA is dropped"
            )
            if pause is not None:
                return pause
        live = await self._save(rotation.finished(look.secret))
        message = "the CA is replaced, and the old one is no longer published"
        await self._reporter.tell(live, "AuthorityRotated", message, look.now)
        return 0.0

    def _let(self, waiting: Sequence[Waiting]) -> None:
        """Say whose turn it is: a few that run, and all that do not."""
        due = [one for one in waiting if not one.is_held and not one.is_issued]
        under_way = [one for one in waiting if one.is_issued and not one.is_held]
        running = [one for one in due if one.is_running]
        turns = [one for one in due if not one.is_running]
        turns += running[: max(0, AT_ONCE - len(under_way))]
        self._turns.set(one.key for one in turns)
        for one in (*turns, *under_way):  # these are hurried, too
            self._queue(one.key)

    async def _wait(
        self, look: _Look, waiting: Sequence[Waiting], doing: str, then: str
    ) -> float | None:
        """Note how far it is; None when there is nothing to wait for any more."""
        self._metrics.waiting.set(len(waiting))
        settled = look.rotation.settled
        is_back = look.rotation.phase is Phase.REPLACING and any(one.is_sure for one in waiting)
        if not waiting:
            settled = settled or look.now + _WHOLE
        elif is_back:
            settled = None
        when = None if settled is None else settled + self._settings.ca_overlap
        if when is not None and not waiting and when <= look.now:
            return None
        text = _progress(look, waiting, doing, then, when)
        noted = rotation.noted(rotation.settled(look.secret, settled), text)
        if noted != look.secret:
            await self._save(noted)
        if waiting or when is None:
            return _SOON
        return _until(when, look.now, self._settings.resync)

    async def _save(self, manifest: Object) -> Object:
        return await self._cluster.replace(manifest)


def _progress(
    look: _Look, waiting: Sequence[Waiting], doing: str, then: str, when: datetime | None
) -> str:
    since = look.rotation.since
    text = f"{look.rotation.phase.value}{f' since {stamp(since)}' if since else ''}: {doing}"
    if waiting:
        named = [f"{one.key.namespace}/{one.key.name} ({one.why})" for one in waiting[:_SHOWN]]
        more = f" and {len(waiting) - _SHOWN} more" if len(waiting) > _SHOWN else ""
        return f"{text}; waiting for {len(waiting)}: {', '.join(named)}{more}"
    return f"{text} everywhere; {then} {stamp(when)}" if when else text


def _end(authority: Authority) -> datetime:
    return certificates.facts(authority.certificate).not_after


def _until(when: datetime, now: datetime, most: float) -> float:
    return max(0.0, min(most, (when - now) / timedelta(seconds=1)))
