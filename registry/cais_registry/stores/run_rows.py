# SPDX-License-Identifier: Apache-2.0
"""The history of garbage collection."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from cais_registry.model.run import Run, RunState
from cais_registry.stores.connection import Connection, Row

KEPT_RUNS: Final = 100
_COLUMNS: Final = (
    "id, state, dry_run, started_at, finished_at, manifests_deleted, blobs_deleted,"
    " bytes_reclaimed, bytes_reclaimable, uploads_expired, tags_deleted, untagged_deleted, message"
)


def save_run(connection: Connection, run: Run) -> None:
    """Write down how a run stands; the oldest runs are forgotten."""
    connection.execute(
        "INSERT INTO gc_run (id, state, dry_run, started_at, finished_at, manifests_deleted,"
        " blobs_deleted, bytes_reclaimed, bytes_reclaimable, uploads_expired, tags_deleted,"
        " untagged_deleted, message)"
        " VALUES (:id, :state, :dry_run, :started_at,"
        " :finished_at, :manifests_deleted, :blobs_deleted, :bytes_reclaimed,"
        " :bytes_reclaimable, :uploads_expired, :tags_deleted, :untagged_deleted, :message)"
        " ON CONFLICT (id) DO UPDATE SET state = excluded.state,"
        " finished_at = excluded.finished_at, manifests_deleted = excluded.manifests_deleted,"
        " blobs_deleted = excluded.blobs_deleted, bytes_reclaimed = excluded.bytes_reclaimed,"
        " bytes_reclaimable = excluded.bytes_reclaimable,"
        " uploads_expired = excluded.uploads_expired, tags_deleted = excluded.tags_deleted,"
        " untagged_deleted = excluded.untagged_deleted, message = excluded.message",
        {
            "id": run.id,
            "state": run.state.value,
            "dry_run": int(run.dry_run),
            "started_at": _micros(run.started_at),
            "finished_at": None if run.finished_at is None else _micros(run.finished_at),
            "manifests_deleted": run.manifests_deleted,
            "blobs_deleted": run.blobs_deleted,
            "bytes_reclaimed": run.bytes_reclaimed,
            "bytes_reclaimable": run.bytes_reclaimable,
            "uploads_expired": run.uploads_expired,
            "tags_deleted": run.tags_deleted,
            "untagged_deleted": run.untagged_deleted,
            "message": run.message,
        },
    )
    connection.execute(
        "DELETE FROM gc_run WHERE id IN"
        " (SELECT id FROM gc_run ORDER BY started_at DESC LIMIT 1000 OFFSET :kept)",
        {"kept": KEPT_RUNS},
    )


def find_run(connection: Connection, run_id: str) -> Run | None:
    """A run by its id."""
    return _first(connection, "WHERE id = :id", {"id": run_id})


def running(connection: Connection) -> Run | None:
    """The run that goes, as far as the table knows."""
    return _first(connection, "WHERE state = 'Running' ORDER BY started_at DESC LIMIT 1", {})


def last_run(connection: Connection, *, succeeded: bool, dry_run: bool = False) -> Run | None:
    """The newest finished run, dry or not."""
    states = "= 'Succeeded'" if succeeded else "<> 'Running'"
    where = f"WHERE dry_run = :dry AND state {states} ORDER BY started_at DESC LIMIT 1"
    return _first(connection, where, {"dry": int(dry_run)})


def fail_interrupted(connection: Connection, message: str) -> None:
    """Mark runs that nobody carries on as failed; the caller holds the lock of runs."""
    connection.execute(
        "UPDATE gc_run SET state = 'Failed', finished_at = :now, message = :message"
        " WHERE state = 'Running'",
        {"now": connection.now, "message": message},
    )


def _first(
    connection: Connection, where: str, params: dict[str, str | int | bytes | None]
) -> Run | None:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM gc_run {where}", params)  # noqa: S608 - constants
    return _run(rows[0]) if rows else None


def _run(row: Row) -> Run:
    started, finished = row["started_at"], row["finished_at"]
    return Run(
        id=row["id"],
        state=RunState(row["state"]),
        dry_run=bool(row["dry_run"]),
        started_at=_time(started),
        finished_at=None if finished is None else _time(finished),
        duration_seconds=0.0 if finished is None else (finished - started) / 1e6,
        manifests_deleted=row["manifests_deleted"],
        blobs_deleted=row["blobs_deleted"],
        bytes_reclaimed=row["bytes_reclaimed"],
        bytes_reclaimable=row["bytes_reclaimable"],
        uploads_expired=row["uploads_expired"],
        tags_deleted=row["tags_deleted"],
        untagged_deleted=row["untagged_deleted"],
        message=row["message"],
    )


def _time(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)


def _micros(time: datetime) -> int:
    return round(time.timestamp() * 1_000_000)
