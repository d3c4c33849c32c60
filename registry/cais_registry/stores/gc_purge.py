# SPDX-License-Identifier: Apache-2.0
"""Removes the rows of what was decided to be garbage; bytes are only buried, never touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cais_registry.model.names import RepoName
from cais_registry.model.policy import Policy
from cais_registry.stores.connection import Connection
from cais_registry.stores.gc_queue import Entry, Kind
from cais_registry.stores.repo_rows import drop_if_empty
from cais_registry.stores.tag_rows import drop_tag, release
from cais_registry.stores.tombstone_rows import bury

ATTACHED: Final = ("", ".sig", ".att", ".sbom")
"""Tags `sha256-<hex><suffix>` stand for things attached to sha256:<hex> (cosign, OCI fallback)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What a purge brings about.

    Attributes:
        followers: What has to be looked at because of it.
        tags: Tags that go with it, and the manifests that they point at.
    """

    followers: tuple[Entry, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()


def consequences(connection: Connection, entry: Entry, policy: Policy) -> Consequences:
    """Find out what a purge would bring about; reads only."""
    if entry.kind is Kind.BYTES:
        return Consequences()
    if entry.kind is Kind.MEMBER:
        return Consequences(followers=(Entry(kind=Kind.BYTES, repo_id=0, digest=entry.digest),))
    tags = _attached_tags(connection, entry, policy)
    manifests = [*_below(connection, entry), *(target for _, target in tags)]
    return Consequences(
        followers=(
            *(_look(Kind.MANIFEST, entry, digest) for digest in manifests),
            *(_look(Kind.MEMBER, entry, digest) for digest in _blobs(connection, entry)),
        ),
        tags=tuple(tags),
    )


def _look(kind: Kind, cause: Entry, digest: str) -> Entry:
    return Entry(kind=kind, repo_id=cause.repo_id, digest=digest, explicit=True)


def _below(connection: Connection, entry: Entry) -> list[str]:
    rows = connection.execute(
        "SELECT child_digest AS digest FROM manifest_child"
        " WHERE repo_id = :repo AND parent_digest = :digest"
        " UNION SELECT digest FROM manifest WHERE repo_id = :repo AND subject_digest = :digest",
        {"repo": entry.repo_id, "digest": entry.digest},
    )
    return [row["digest"] for row in rows]


def _blobs(connection: Connection, entry: Entry) -> list[str]:
    rows = connection.execute(
        "SELECT blob_digest AS digest FROM manifest_blob"
        " WHERE repo_id = :repo AND manifest_digest = :digest"
        " UNION SELECT child_digest FROM manifest_child"
        " WHERE repo_id = :repo AND parent_digest = :digest",
        {"repo": entry.repo_id, "digest": entry.digest},
    )
    return [row["digest"] for row in rows]


def _attached_tags(connection: Connection, entry: Entry, policy: Policy) -> list[tuple[str, str]]:
    """Tags that stand for something attached to a manifest, but for immutable ones."""
    base = entry.digest.replace(":", "-", 1)
    found: list[tuple[str, str]] = []
    for suffix in ATTACHED:
        rows = connection.execute(
            "SELECT t.name, t.manifest_digest, r.name AS repo"
            " FROM tag t JOIN repository r ON r.id = t.repo_id"
            " WHERE t.repo_id = :repo AND t.name = :name",
            {"repo": entry.repo_id, "name": base + suffix},
        )
        found += [
            (row["name"], row["manifest_digest"])
            for row in rows
            if not policy.is_immutable(RepoName(row["repo"]), row["name"])
        ]
    return found


def purge(connection: Connection, entry: Entry, after: Consequences) -> None:
    """Remove the rows of one entry; the last row that names bytes becomes a tombstone."""
    if entry.kind is Kind.MANIFEST:
        for name, target in after.tags:
            drop_tag(connection, entry.repo_id, name, reason="subject purged")
            release(connection, entry.repo_id, target, 0)
        _purge_manifest(connection, entry)
    elif entry.kind is Kind.MEMBER:
        _purge_member(connection, entry)
    else:
        _purge_bytes(connection, entry)


def _purge_manifest(connection: Connection, entry: Entry) -> None:
    rows = connection.execute(
        "DELETE FROM manifest WHERE repo_id = :repo AND digest = :digest"
        " RETURNING storage_key, size",
        {"repo": entry.repo_id, "digest": entry.digest},
    )
    for row in rows:
        bury(
            connection,
            row["storage_key"],
            reason="manifest purged",
            digest=entry.digest,
            size=row["size"],
        )
    drop_if_empty(connection, entry.repo_id)


def _purge_member(connection: Connection, entry: Entry) -> None:
    connection.execute(
        "DELETE FROM repo_blob WHERE repo_id = :repo AND digest = :digest",
        {"repo": entry.repo_id, "digest": entry.digest},
    )
    drop_if_empty(connection, entry.repo_id)


def _purge_bytes(connection: Connection, entry: Entry) -> None:
    rows = connection.execute(
        "DELETE FROM blob WHERE digest = :digest RETURNING storage_key, size",
        {"digest": entry.digest},
    )
    for row in rows:
        bury(
            connection,
            row["storage_key"],
            reason="unreferenced",
            digest=entry.digest,
            size=row["size"],
        )
