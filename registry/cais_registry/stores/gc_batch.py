# SPDX-License-Identifier: Apache-2.0
"""Decides about many memberships or blobs by one query, as `gc_verdict` does about one."""

from __future__ import annotations

from typing import Final

from cais_registry.stores.connection import Connection
from cais_registry.stores.gc_queue import Entry, Facts, Kind, Times, due_with
from cais_registry.stores.gc_verdict import KEEP, Verdict, unused_member

_MEMBERS: Final = Facts(
    kind=Kind.MEMBER,
    columns="m.digest AS found, m.touched_at, m.bound_at, m.deleted_at, CASE"
    " WHEN EXISTS (SELECT 1 FROM manifest_blob u"
    " WHERE u.repo_id = q.repo_id AND u.blob_digest = q.digest) THEN 1"
    " WHEN EXISTS (SELECT 1 FROM manifest_child c WHERE c.repo_id = q.repo_id"
    " AND c.child_digest = q.digest AND c.parent_digest <> q.digest) THEN 1"
    " ELSE 0 END AS used",
    source="LEFT JOIN repo_blob m ON m.repo_id = q.repo_id AND m.digest = q.digest",
)

_BYTES: Final = Facts(
    kind=Kind.BYTES,
    columns="b.size, CASE WHEN EXISTS (SELECT 1 FROM repo_blob m WHERE m.digest = q.digest)"
    " THEN 1 ELSE 0 END AS used",
    source="LEFT JOIN blob b ON b.digest = q.digest",
)


def judge_members(connection: Connection, times: Times, limit: int) -> list[tuple[Entry, Verdict]]:
    """Look at memberships that are due: those that are not there, or used, are kept."""
    found = due_with(connection, _MEMBERS, times, limit)
    return [
        (entry, KEEP if row["found"] is None or row["used"] else unused_member(entry, row, times))
        for entry, row in found
    ]


def judge_bytes(connection: Connection, times: Times, limit: int) -> list[tuple[Entry, Verdict]]:
    """Look at blobs that are due: those that are not there, or that some repository has, stay."""
    found = due_with(connection, _BYTES, times, limit)
    return [
        (
            entry,
            KEEP if row["size"] is None or row["used"] else Verdict(purge=True, size=row["size"]),
        )
        for entry, row in found
    ]
