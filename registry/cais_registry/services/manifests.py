# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Final, TypeAlias

from cais_registry.model.digest import Digest
from cais_registry.model.errors import (
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestTooLarge,
    StorageFull,
    TagInvalid,
)
from cais_registry.model.limits import Limits
from cais_registry.model.manifest import parse
from cais_registry.model.names import RepoName, Tag
from cais_registry.services.cache import Cache
from cais_registry.services.changes import Changes
from cais_registry.services.failpoints import Failpoint, no_failpoint
from cais_registry.services.manifest_values import (
    ManifestInfo,
    PutResult,
    Removed,
    StoredManifest,
)
from cais_registry.services.mirror import Mirror
from cais_registry.services.removal import manifest_unknown, remove
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.gc_queue import Times
from cais_registry.stores.immutable_rows import refuse_changes, refuse_moves
from cais_registry.stores.layout import manifest_key
from cais_registry.stores.leases import is_fresh
from cais_registry.stores.manifest_rows import (
    ManifestRow,
    Put,
    find_manifest,
    promise_manifest,
    put_manifest,
    read_manifest,
)
from cais_registry.stores.new_manifest import NewManifest

_SHOWN: Final = 20
_SMALL: Final = 16 * 1024


_Whole: TypeAlias = tuple[ManifestRow, StoredManifest]


class Manifests:
    """Manifests of a repository, by tag or by digest."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        mirror: Mirror,
        limits: Limits,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._database = database
        self._changes = changes
        self._mirror = mirror
        self._limits = limits
        self._failpoint = failpoint
        self._rows: Cache[ManifestRow] = Cache(database)
        self._contents: Cache[_Whole] = Cache(database, weigh=lambda whole: len(whole[1].content))

    async def put(  # noqa: PLR0913 - what a push has
        self,
        repo: RepoName,
        reference: Tag | Digest,
        content: bytes,
        content_type: str | None,
        *,
        tags: Sequence[Tag] = (),
        creates_only: bool = False,
    ) -> PutResult:
        """Store a manifest and point tags at it (end-7a, end-7b); it survives a power loss then.

        Args:
            repo: The repository.
            reference: A tag, or the digest that the client has computed.
            content: The bytes, kept as they are.
            content_type: The type it is sent as, None when the client names none.
            tags: More tags to point at it.
            creates_only: Whether what is there stays: tags where they are, manifests of their type.

        Raises:
            DigestInvalid: If `reference` is a digest, and not that of `content`.
            ManifestTooLarge, ManifestInvalid: If it is not a manifest that is taken.
            ManifestBlobUnknown: If the repository lacks what it refers to; detail lists it.
            Denied: If an immutable tag would change, or anything by whom only creates.
            QuotaExceeded, ReadOnly, StorageFull: If policy or disk take none, or not this one.
        """
        self._check_limits(content, tags)
        pointed = (reference, *tags) if isinstance(reference, Tag) else tuple(tags)
        new = await self._read(reference, content, content_type)
        self._failpoint("M1")
        put = await self._changes.write(partial(self._put, repo, new, pointed, creates_only))
        if put.missing:
            raise _blobs_unknown(repo, put.missing)
        self._failpoint("M1.done")
        if put.copy is not None:
            await self._mirror.copy(*put.copy)
        digest, subject = new.digest, new.subject
        return PutResult(digest=digest, subject=subject, tags=pointed, previous=put.previous)

    def _put(
        self,
        repo: RepoName,
        new: NewManifest,
        tags: Sequence[Tag],
        creates_only: bool,
        connection: Connection,
    ) -> Put:
        refuse_moves(connection, self._changes.policy(), repo, tags, new)
        if creates_only:
            refuse_changes(connection, repo, tags, new)
        return put_manifest(connection, repo, new, tags)

    def _check_limits(self, content: bytes, tags: Sequence[Tag]) -> None:
        limits = self._limits
        if len(content) > limits.manifest_bytes:
            raise ManifestTooLarge(
                f"manifest has {len(content)} bytes, at most {limits.manifest_bytes} are taken"
            )
        if len(tags) > limits.tags_per_push:
            raise TagInvalid(
                f"{len(tags)} tags in one push, at most {limits.tags_per_push} are taken"
            )
        self._mirror.check_room(len(content))

    async def _read(
        self, reference: Tag | Digest, content: bytes, content_type: str | None
    ) -> NewManifest:
        """Hash and parse, which for megabytes is not the event loop's business."""
        if len(content) <= _SMALL:  # done before a thread would have begun
            return self._new(reference, content, content_type)
        return await asyncio.to_thread(self._new, reference, content, content_type)

    def _new(
        self, reference: Tag | Digest, content: bytes, content_type: str | None
    ) -> NewManifest:
        digest = _digest_of(content, reference)
        most = self._limits.manifest_references
        parsed = parse(content, content_type, max_references=most)
        key = manifest_key(digest, secrets.token_hex(16))
        sparse = self._limits.sparse_manifests
        return NewManifest.of(parsed, digest, content, key=key, sparse=sparse)

    async def get(
        self, repo: RepoName, reference: Tag | Digest, *, promise: bool = False
    ) -> StoredManifest:
        """Read a manifest (end-3).

        Args:
            repo: The repository.
            reference: A tag or a digest.
            promise: True when the caller may push: "it exists" then holds for `push_lease`.

        Raises:
            ManifestUnknown: If the repository does not have it.
        """
        found = await self._contents.read((repo, reference), partial(_read, repo, reference))
        if found is None:
            raise manifest_unknown(repo, reference)
        row, stored = found
        if promise:
            await self._promise(repo, row)
        return stored

    async def stat(
        self, repo: RepoName, reference: Tag | Digest, *, promise: bool = False
    ) -> ManifestInfo:
        """Tell what `get` would return without reading the bytes (end-3, HEAD).

        Raises:
            ManifestUnknown: If the repository does not have it.
        """
        find = partial(find_manifest, repo=repo, reference=reference)
        row = await self._rows.read((repo, reference), find)
        if row is None:
            raise manifest_unknown(repo, reference)
        if promise:
            await self._promise(repo, row)
        return ManifestInfo(digest=row.digest, media_type=row.media_type, size=row.size)

    async def _promise(self, repo: RepoName, row: ManifestRow) -> None:
        times = Times.of(self._database.now(), self._changes.policy())
        if is_fresh(row.promised_at, now=times.now, lease=times.lease):
            return
        renew = partial(promise_manifest, repo=repo, digest=row.digest)
        try:
            is_there = await self._database.write(renew)
        except StorageFull:  # reads go on; a push that relied on it is told what is missing
            return
        if not is_there:
            raise manifest_unknown(repo, row.digest)

    async def delete(self, repo: RepoName, reference: Tag | Digest) -> Removed:
        """Delete a tag (only the tag), or by digest a manifest with all its tags (end-9).

        What was deleted is unknown at once and can come back for `undelete_window`.

        Raises:
            ManifestUnknown: If the repository does not have it.
            Unsupported: By digest, while an index of the repository refers to the manifest.
            Denied: If the tag, or one of the manifest's, is immutable.
            ReadOnly: If the registry is read-only.
        """
        return await self._changes.write(
            lambda connection: remove(connection, self._changes.policy(), repo, reference)
        )


def _read(repo: RepoName, reference: Tag | Digest, connection: Connection) -> _Whole | None:
    found = read_manifest(connection, repo, reference)
    if found is None:
        return None
    row, content = found
    stored = StoredManifest(digest=row.digest, media_type=row.media_type, content=content)
    return row, stored


def _digest_of(content: bytes, reference: Tag | Digest) -> Digest:
    if isinstance(reference, Tag):
        return Digest.of(content)
    found = Digest.of(content, reference.algorithm)
    if found != reference:
        raise DigestInvalid(
            f"manifest was sent as {reference}, but its digest is {found}: push it as that",
            detail={"expected": str(reference), "found": str(found)},
        )
    return found


def _blobs_unknown(repo: RepoName, missing: Sequence[str]) -> ManifestBlobUnknown:
    shown = list(missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return ManifestBlobUnknown(
        f"repository {repo} lacks what the manifest refers to: {', '.join(shown)}{more}; "
        "push that first",
        detail=[{"digest": digest} for digest in shown],
    )
