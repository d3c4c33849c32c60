# SPDX-License-Identifier: Apache-2.0
"""Works through the queue of garbage collection.

Steps S1c (manifests), S1a (memberships) and S1b (bytes) of docs/adr/0006. A step decides and acts
in one transaction and touches no bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cais_registry.model.names import RepoName
from cais_registry.model.retention import Kind as Reported
from cais_registry.stores.connection import Connection
from cais_registry.stores.gc_batch import judge_bytes, judge_members
from cais_registry.stores.gc_purge import (
    consequences,
    purge_bytes,
    purge_manifest,
    purge_members,
)
from cais_registry.stores.gc_queue import Entry, Kind, Times, due_entries, enqueue, remove
from cais_registry.stores.gc_verdict import Gone, Verdict, decide
from cais_registry.stores.repo_rows import find_repo
from cais_registry.stores.report_rows import ReportLine, report_after

MOST_COUNTED: Final = 100_000
"""Manifests, memberships and blobs, of each, after which a rehearsal counts no further: it has to
remember them."""

_NOTHING: Final = Gone()


@dataclass(slots=True)
class Counts:
    """What reviews have found to be garbage."""

    manifests: int = 0
    blobs: int = 0
    bytes: int = 0

    def add(self, kind: Kind, size: int) -> None:
        """Count one thing."""
        self.manifests += kind is Kind.MANIFEST
        self.blobs += kind is Kind.BYTES
        self.bytes += size


def review_batch(
    connection: Connection, kind: Kind, times: Times, limit: int
) -> tuple[int, Counts]:
    """S1: look at entries that are due and act; one short transaction.

    Returns:
        How many entries were looked at, and what of it was garbage.
    """
    counts = Counts()
    looked = _REVIEWS[kind](connection, times, limit)
    for verdict in looked:
        if verdict.purge:
            counts.add(kind, verdict.size)
    return len(looked), counts


def _review_manifests(connection: Connection, times: Times, limit: int) -> list[Verdict]:
    """One by one: purging one may bring back one of this batch that was looked at and kept."""
    verdicts = []
    for entry in list(due_entries(connection, Kind.MANIFEST, times, limit)):
        verdict = decide(connection, entry, times, _NOTHING)
        remove(connection, entry)
        if verdict.later is not None:
            enqueue(connection, verdict.later)
        if verdict.purge:
            after = consequences(connection, entry, times.policy)
            purge_manifest(connection, entry, after)
            enqueue(connection, *dict.fromkeys(after.followers))
        verdicts.append(verdict)
    return verdicts


def _review_members(connection: Connection, times: Times, limit: int) -> list[Verdict]:
    looked = judge_members(connection, times, limit)
    purge_members(connection, _settled(connection, looked))
    return [verdict for _, verdict in looked]


def _review_bytes(connection: Connection, times: Times, limit: int) -> list[Verdict]:
    looked = judge_bytes(connection, times, limit)
    purge_bytes(connection, _settled(connection, looked))
    return [verdict for _, verdict in looked]


def _settled(connection: Connection, looked: list[tuple[Entry, Verdict]]) -> list[Entry]:
    """Take entries out of the queue, but for those that wait; those that are garbage."""
    remove(connection, *(entry for entry, _ in looked))
    enqueue(connection, *(verdict.later for _, verdict in looked if verdict.later is not None))
    return [entry for entry, verdict in looked if verdict.purge]


_REVIEWS: Final = {
    Kind.MANIFEST: _review_manifests,
    Kind.MEMBER: _review_members,
    Kind.BYTES: _review_bytes,
}


class _Rehearsal:
    """Takes the decisions of a run over a snapshot, and remembers what would be gone.

    Beyond `MOST_COUNTED` of a kind it stops, so that memory is bounded: then less is counted.
    """

    def __init__(self, connection: Connection, times: Times) -> None:
        self.counts = Counts()
        self._connection = connection
        self._times = times
        self._gone = Gone()
        self._waiting: dict[Kind, list[Entry]] = {kind: [] for kind in Kind}
        self._left = dict.fromkeys(Kind, MOST_COUNTED)

    def expect(self, line: ReportLine) -> None:
        """Regard something as deleted that retention would delete."""
        repo_id = find_repo(self._connection, RepoName(line.repository))
        if repo_id is None:
            return
        if line.kind is Reported.TAG:
            self._gone.tags.add((repo_id, line.reference))
            self._gone.released.add((repo_id, line.digest))
        else:
            self._gone.deleted.add((repo_id, line.digest))
        entry = Entry(kind=Kind.MANIFEST, repo_id=repo_id, digest=line.digest, explicit=True)
        self._waiting[Kind.MANIFEST].append(entry)

    def run(self, kind: Kind) -> None:
        for entry in due_entries(self._connection, kind, self._times):
            if not self._left[kind]:
                return
            self._look(entry)
        while self._waiting[kind] and self._left[kind]:
            self._look(self._waiting[kind].pop())

    def _look(self, entry: Entry) -> None:
        verdict = decide(self._connection, entry, self._times, self._gone)
        if not verdict.purge:
            return
        after = consequences(self._connection, entry, self._times.policy)
        self._left[entry.kind] -= 1
        self._gone.rows.add((entry.kind, entry.repo_id, entry.digest))
        for name, target in after.tags:
            self._gone.tags.add((entry.repo_id, name))
            self._gone.released.add((entry.repo_id, target))
        for follower in after.followers:
            self._waiting[follower.kind].append(follower)
        self.counts.add(entry.kind, verdict.size)


def rehearse(connection: Connection, times: Times, *, run_id: str | None = None) -> Counts:
    """Count what reviews would find to be garbage, up to `MOST_COUNTED`, and change nothing.

    Args:
        connection: A snapshot.
        times: The moment; `Times.end` counts what can ever be reclaimed as things stand.
        run_id: A dry run, whose report says what retention would delete: that counts as deleted
            when there is no window to wait for, up to `MOST_COUNTED` lines.
    """
    rehearsal = _Rehearsal(connection, times)
    if run_id is not None and times.window == 0:
        for line in report_after(connection, run_id, 0, MOST_COUNTED):
            if not line.dry_run:
                rehearsal.expect(line)
    for kind in (Kind.MANIFEST, Kind.MEMBER, Kind.BYTES):
        rehearsal.run(kind)
    return rehearsal.counts
