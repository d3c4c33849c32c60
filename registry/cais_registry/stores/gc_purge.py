# SPDX-License-Identifier: Apache-2.0
"""Removes the rows of what was decided to be garbage; bytes are only buried, never touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cais_registry.model.names import RepoName
from cais_registry.model.policy import Policy
from cais_registry.stores.connection import Connection, Row, values
from cais_registry.stores.gc_queue import Entry, Kind, by_place, enqueue
from cais_registry.stores.repo_rows import drop_if_empty
from cais_registry.stores.tag_rows import drop_tag, release
from cais_registry.stores.tombstone_rows import bury_all

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
        return Consequences(followers=(bytes_of(entry),))
    tags = _attached_tags(connection, entry, policy)
    manifests = [*_below(connection, entry), *(target for _, target in tags)]
    return Consequences(
        followers=(
            *(_look(Kind.MANIFEST, entry, digest) for digest in manifests),
            *(_look(Kind.MEMBER, entry, digest) for digest in _blobs(connection, entry)),
        ),
        tags=tuple(tags),
    )


def bytes_of(entry: Entry) -> Entry:
    """What has to be looked at when a blob has left a repository."""
    return Entry(kind=Kind.BYTES, repo_id=0, digest=entry.digest)


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
    listed, names = values([(base + suffix,) for suffix in ATTACHED])
    rows = connection.execute(
        "SELECT t.name, t.manifest_digest, r.name AS repo"  # noqa: S608 - places of parameters
        " FROM tag t JOIN repository r ON r.id = t.repo_id"
        f" WHERE t.repo_id = :repo AND t.name IN (VALUES {listed})",
        {"repo": entry.repo_id, **names},
    )
    return [
        (row["name"], row["manifest_digest"])
        for row in rows
        if not policy.is_immutable(RepoName(row["repo"]), row["name"])
    ]


def purge_manifest(connection: Connection, entry: Entry, after: Consequences) -> None:
    """Remove the row of a manifest, and the tags that go with it; its bytes become a tombstone."""
    for name, target in after.tags:
        drop_tag(connection, entry.repo_id, name, reason="subject purged")
        release(connection, entry.repo_id, target, 0)
    rows = connection.execute(
        "DELETE FROM manifest WHERE repo_id = :repo AND digest = :digest"
        " RETURNING storage_key, digest, size",
        {"repo": entry.repo_id, "digest": entry.digest},
    )
    bury_all(connection, _graves(rows), reason="manifest purged")
    drop_if_empty(connection, entry.repo_id)


def _graves(rows: list[Row]) -> list[tuple[str, str | None, int]]:
    return [(row["storage_key"], row["digest"], row["size"]) for row in rows]


def purge_members(connection: Connection, entries: list[Entry]) -> None:
    """Remove blobs from repositories; their bytes have to be looked at."""
    for (_, repo_id), digests in by_place(entries).items():
        listed, params = values([(digest,) for digest in digests])
        connection.execute(
            f"DELETE FROM repo_blob WHERE repo_id = :repo AND digest IN (VALUES {listed})",  # noqa: S608 - places of parameters
            {"repo": repo_id, **params},
        )
        drop_if_empty(connection, repo_id)
    enqueue(connection, *dict.fromkeys(bytes_of(entry) for entry in entries))


def purge_bytes(connection: Connection, entries: list[Entry]) -> None:
    """Remove the last rows that name bytes, which become tombstones."""
    if not entries:
        return
    listed, params = values([(entry.digest,) for entry in entries])
    rows = connection.execute(
        f"DELETE FROM blob WHERE digest IN (VALUES {listed})"  # noqa: S608 - places of parameters
        " RETURNING storage_key, digest, size",
        params,
    )
    bury_all(connection, _graves(rows), reason="unreferenced")
