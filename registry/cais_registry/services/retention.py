# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from cais_registry.config.retention import Retention
from cais_registry.model.names import RepoName
from cais_registry.model.policy import Policy
from cais_registry.model.retention import Going, Judge, Moment, rule_for
from cais_registry.services.failpoints import Failpoint, no_failpoint
from cais_registry.services.pulls import Pulls
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.gc_queue import Times
from cais_registry.stores.report_rows import Part, forget_reports, report
from cais_registry.stores.retention_rows import (
    Place,
    delete_tags,
    delete_untagged,
    judge_tags,
    judge_untagged,
    lost_of_the_last,
    repositories_after,
)

_BATCH: Final = 100
"""Deletions in one transaction; a push waits for no longer than it takes."""
_PAGE: Final = 1000
_REPOSITORIES: Final = 100


class RulesChanged(Exception):  # noqa: N818 - no error: the run goes on without the rest
    """The rules are others than those that a run began with."""


@dataclass(slots=True, kw_only=True)
class Task:
    """One run of retention.

    Attributes:
        run_id: The run of garbage collection that it is part of.
        is_dry: Whether nothing is deleted.
        retention: The rules as they were at the beginning.
        moment: The time for which it decides.
        tags: Tags deleted so far, or that would be.
        untagged: The same of manifests without a tag.
        said: Lines of the report so far.
    """

    run_id: str
    is_dry: bool
    retention: Retention
    moment: Moment
    tags: int = 0
    untagged: int = 0
    said: int = 0


class Keeper:
    """Deletes what no rule keeps: steps K1 and K2 of docs/adr/0024.

    A dry run goes the same way and takes the same decisions; only the deletion is left out.
    While the registry is read-only nothing goes: clients would see it.
    """

    def __init__(
        self,
        database: Database,
        pulls: Pulls,
        policy: Callable[[], Policy],
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._database = database
        self._pulls = pulls
        self._policy = policy
        self._failpoint = failpoint

    async def run(self, run_id: str, times: Times, *, dry_run: bool) -> AsyncIterator[Task]:
        """Go through all repositories that a rule is about; yields how far it is.

        Args:
            run_id: Where the report goes.
            times: The moment, and the policy's times.
            dry_run: Report what would be deleted, and delete nothing.

        Raises:
            RulesChanged: If the configuration changes meanwhile: the next run takes the new rules.
            StorageFull: If there is no room to write down what is deleted.
        """
        while await self._database.write(partial(forget_reports, limit=_PAGE)):
            pass
        retention = self._policy().retention
        if not retention.rules or (self._policy().read_only and not dry_run):
            return
        knows = retention.counts_pulls and await self._pulls.settle()
        moment = Moment(now=times.now, lease=times.lease, knows_pulls=knows)
        task = Task(run_id=run_id, is_dry=dry_run, retention=retention, moment=moment)
        async for place in self._places(task):
            if place.rule.limits_tags:
                await self._tags(task, place)
            if place.rule.untagged_after is not None:
                await self._untagged(task, place)
            yield task

    async def _places(self, task: Task) -> AsyncIterator[Place]:
        last = ""
        while found := await self._database.read_slowly(
            partial(repositories_after, last=last, limit=_REPOSITORIES)
        ):
            last = found[-1][1]
            for repo_id, name in found:
                rule = rule_for(task.retention, name)
                if rule is not None:
                    yield Place(
                        repo_id=repo_id,
                        name=name,
                        rule=rule,
                        moment=task.moment,
                        is_protected=self._is_immutable,
                        is_dry=task.is_dry or rule.dry_run,
                    )

    async def _tags(self, task: Task, place: Place) -> None:
        judge = Judge(rule=place.rule, moment=task.moment)
        after = None
        while True:
            page = await self._database.read_slowly(
                partial(judge_tags, place=place, judge=judge, after=after, limit=_PAGE)
            )
            going = list(page.going)
            while going:
                going = going[await self._take_tags(task, place, judge, going[:_BATCH]) :]
            if page.after is None:
                return
            after = page.after

    async def _take_tags(
        self, task: Task, place: Place, judge: Judge, batch: Sequence[Going]
    ) -> int:
        """Deal with some tags; returns with how many, from the first one on."""

        def take(connection: Connection) -> tuple[list[str], int]:
            lost = lost_of_the_last(connection, place, judge)
            if lost:
                return lost, 0
            gone = delete_tags(connection, place, judge, batch)
            report(connection, _part(task, place), gone)
            return [], len(gone)

        await self._ready("K1", task)
        lost, count = await self._database.write(take)
        if lost:
            return judge.replace_lost(lost, batch)
        task.said += len(batch)
        task.tags += 0 if place.rule.dry_run else count
        return len(batch)

    async def _untagged(self, task: Task, place: Place) -> None:
        after = ""
        while True:
            page = await self._database.read_slowly(
                partial(judge_untagged, place=place, last=after, limit=_PAGE)
            )
            for begin in range(0, len(page.going), _BATCH):
                await self._take_untagged(task, place, page.going[begin : begin + _BATCH])
            if page.after is None:
                return
            after = page.after[1]

    async def _take_untagged(self, task: Task, place: Place, batch: Sequence[Going]) -> None:
        def take(connection: Connection) -> int:
            gone = delete_untagged(connection, place, batch)
            report(connection, _part(task, place), gone)
            return len(gone)

        await self._ready("K2", task)
        count = await self._database.write(take)
        task.said += len(batch)
        task.untagged += 0 if place.rule.dry_run else count

    async def _ready(self, step: str, task: Task) -> None:
        """What was pulled by now counts, and nobody has taken the rules back."""
        await self._pulls.flush()
        self._failpoint(step)
        policy = self._policy()
        if policy.retention != task.retention or (policy.read_only and not task.is_dry):
            raise RulesChanged

    def _is_immutable(self, repository: str, tag: str) -> bool:
        return self._policy().is_immutable(RepoName(repository), tag)


def _part(task: Task, place: Place) -> Part:
    return Part(
        run_id=task.run_id,
        first=task.said + 1,
        repository=place.name,
        dry_run=place.rule.dry_run,
    )
