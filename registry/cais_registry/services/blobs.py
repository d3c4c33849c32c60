# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice

from cais_registry.model.digest import Digest
from cais_registry.model.errors import BlobUnknown, Unsupported
from cais_registry.model.names import RepoName
from cais_registry.services.cache import Cache
from cais_registry.services.changes import Changes
from cais_registry.stores.blob_rows import (
    BlobRow,
    delete_member,
    find_blob,
    find_member,
    mount_blob,
    promise_member,
    repos_with,
    users_of,
)
from cais_registry.stores.blobstore import BlobStore, OpenBytes
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.gc_queue import Times
from cais_registry.stores.leases import is_fresh
from cais_registry.stores.repo_rows import find_repo


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobInfo:
    """A blob that a repository has.

    Attributes:
        digest: Its content address.
        size: In bytes.
    """

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBlob:
    """A blob opened for reading; garbage collection cannot take the bytes away while it is open.

    Attributes:
        digest: Its content address.
        size: In bytes.
        content: The bytes, owned by the caller, who closes them.
        link: Where the client may read them itself, if it was asked for and there is such a place.
    """

    digest: Digest
    size: int
    content: OpenBytes
    link: str | None = None


class Blobs:
    """Finished blobs, always seen through a repository: a blob of another one is unknown."""

    def __init__(self, database: Database, changes: Changes, store: BlobStore) -> None:
        self._database = database
        self._changes = changes
        self._store = store
        self._rows: Cache[BlobRow] = Cache(database)

    async def stat(self, repo: RepoName, digest: Digest, *, promise: bool) -> BlobInfo:
        """Tell whether a repository has a blob (distribution-spec end-2).

        Args:
            repo: The repository.
            digest: The blob.
            promise: True when the caller may push: "it exists" then holds for `push_lease`.

        Raises:
            BlobUnknown: If not, or if its bytes are damaged (a new push repairs it).
        """
        row = await self._find(repo, digest)
        if await self._store.size(row.key) != row.size:
            raise _unknown(repo, digest)
        if promise and not self._is_fresh(row):
            renew = partial(promise_member, repo=repo, digest=digest)
            if not await self._database.write(renew):
                raise _unknown(repo, digest)
        return BlobInfo(digest=digest, size=row.size)

    async def open(self, repo: RepoName, digest: Digest, *, wants_link: bool = False) -> OpenBlob:
        """Open a blob for reading (end-2).

        Args:
            repo: The repository.
            digest: The blob.
            wants_link: Whether the caller can send the client elsewhere.

        Raises:
            BlobUnknown: If the repository does not have it, or its bytes are damaged.
        """
        row = await self._find(repo, digest)
        content = await self._store.open(row.key)
        if content is None:
            raise _unknown(repo, digest)
        if content.size != row.size:
            content.close()
            raise _unknown(repo, digest)
        link = await self._store.link(row.key) if wants_link else None
        return OpenBlob(digest=digest, size=row.size, content=content, link=link)

    async def delete(self, repo: RepoName, digest: Digest) -> None:
        """Take a blob out of a repository (end-10); it can come back for `undelete_window`.

        Raises:
            BlobUnknown: If the repository does not have it.
            Unsupported: While a manifest of the repository uses it.
            ReadOnly: If the registry is read-only.
        """

        def work(connection: Connection) -> None:
            repo_id = find_repo(connection, repo)
            if repo_id is None or find_member(connection, repo, digest) is None:
                raise _unknown(repo, digest)
            users = users_of(connection, repo_id, digest)
            if users:
                raise Unsupported(
                    f"blob {digest} is in use by manifest {users[0]} of {repo}: "
                    "delete the manifests that use it first",
                    detail={"manifests": list(users)},
                )
            delete_member(connection, repo_id, digest)

        await self._changes.write(work)

    async def mount(
        self,
        repo: RepoName,
        digest: Digest,
        *,
        source: RepoName | None,
        readable: Callable[[RepoName], bool],
    ) -> bool:
        """Take a blob over from another repository without its bytes being sent (end-11).

        Args:
            repo: The repository that gets it.
            digest: The blob.
            source: The repository that has it; None looks in all that are readable.
            readable: Says whether the caller may pull from a repository.

        Returns:
            True if `repo` has the blob now (with a lease); False if the client has to send it.

        Raises:
            ReadOnly: If the registry is read-only.
        """
        if source is None and not await self._database.read_one(partial(find_blob, digest=digest)):
            return False  # the usual case; no thread is needed to see that
        # many repositories may have it: looking for one that is readable must not hold others up
        read = self._database.read_slowly if source is None else self._database.read
        found = await read(partial(_source, digest, source, readable))
        if found is None:
            return False
        origin, row = found
        if await self._store.size(row.key) != row.size:
            return False
        return await self._changes.write(
            partial(mount_blob, repo=repo, digest=digest, source=origin)
        )

    async def _find(self, repo: RepoName, digest: Digest) -> BlobRow:
        find = partial(find_member, repo=repo, digest=digest)
        row = await self._rows.read((repo, digest), find)
        if row is None:
            raise _unknown(repo, digest)
        return row

    def _is_fresh(self, row: BlobRow) -> bool:
        times = Times.of(self._database.now(), self._changes.policy())
        return is_fresh(row.promised_at, now=times.now, lease=times.lease)


def _unknown(repo: RepoName, digest: Digest) -> BlobUnknown:
    return BlobUnknown(
        f"repository {repo} has no blob {digest}: push it there, or check name and digest",
        detail={"digest": str(digest)},
    )


def _source(
    digest: Digest,
    source: RepoName | None,
    readable: Callable[[RepoName], bool],
    connection: Connection,
) -> tuple[RepoName, BlobRow] | None:
    """Find a repository to mount from; looks at a bounded number of them."""
    candidates = [source] if source is not None else islice(repos_with(connection, digest), 1000)
    for candidate in candidates:
        if readable(candidate):
            row = find_member(connection, candidate, digest)
            if row is not None:
                return candidate, row
    return None
