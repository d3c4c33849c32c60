# SPDX-License-Identifier: Apache-2.0
"""What retention deleted, or would delete, run by run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cais_registry.model.retention import Going, Kind
from cais_registry.stores.connection import Connection, one

KEPT_REPORTS: Final = 3
"""Runs whose reports are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLine:
    """One thing that goes.

    Attributes:
        n: Its place in the report; later ones are larger.
        kind: Tag or manifest.
        repository: Its repository.
        reference: Name of the tag, or the digest again.
        digest: Of the manifest.
        reason: Which rule, and why it does not keep it.
        dry_run: Whether the rule only says so.
    """

    n: int
    kind: Kind
    repository: str
    reference: str
    digest: str
    reason: str
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Where lines of a report go.

    Attributes:
        run_id: The run.
        first: Place of the first line.
        repository: The repository that they are about.
        dry_run: Whether the rule only says so.
    """

    run_id: str
    first: int
    repository: str
    dry_run: bool


def report(connection: Connection, part: Part, going: Sequence[Going]) -> None:
    """Add lines to the report of a run, in the transaction that does what they say."""
    for n, gone in enumerate(going, part.first):
        connection.execute(
            "INSERT INTO gc_report (run_id, n, kind, repository, reference, digest, reason,"
            " dry_run) VALUES (:run_id, :n, :kind, :repository, :reference, :digest, :reason,"
            " :dry_run)",
            {
                "run_id": part.run_id,
                "n": n,
                "kind": gone.kind.value,
                "repository": part.repository,
                "reference": gone.reference,
                "digest": gone.digest,
                "reason": gone.reason,
                "dry_run": int(part.dry_run),
            },
        )


def report_after(connection: Connection, run_id: str, last: int, limit: int) -> list[ReportLine]:
    """Lines of a report, in order, those after a place."""
    rows = connection.execute(
        "SELECT n, kind, repository, reference, digest, reason, dry_run FROM gc_report"
        " WHERE run_id = :run_id AND n > :last ORDER BY n LIMIT :limit",
        {"run_id": run_id, "last": last, "limit": limit},
    )
    return [
        ReportLine(
            n=row["n"],
            kind=Kind(row["kind"]),
            repository=row["repository"],
            reference=row["reference"],
            digest=row["digest"],
            reason=row["reason"],
            dry_run=bool(row["dry_run"]),
        )
        for row in rows
    ]


def forget_reports(connection: Connection, limit: int) -> int:
    """Drop lines of reports of all but the newest runs; returns how many."""
    newest = {
        row["id"]
        for row in connection.execute(
            "SELECT id FROM gc_run ORDER BY started_at DESC LIMIT :kept", {"kept": KEPT_REPORTS}
        )
    }
    found = _next_run(connection, "")
    while found is not None and found in newest:
        found = _next_run(connection, found)
    return 0 if found is None else _forget(connection, found, limit)


def _next_run(connection: Connection, last: str) -> str | None:
    row = one(
        connection,
        "SELECT run_id FROM gc_report WHERE run_id > :last ORDER BY run_id LIMIT 1",
        {"last": last},
    )
    return None if row is None else str(row["run_id"])


def _forget(connection: Connection, run_id: str, limit: int) -> int:
    rows = connection.execute(
        "DELETE FROM gc_report WHERE run_id = :run_id AND n IN"
        " (SELECT n FROM gc_report WHERE run_id = :run_id ORDER BY n LIMIT :limit) RETURNING n",
        {"run_id": run_id, "limit": limit},
    )
    return len(rows)
