# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from cais_registry.model.deleted import Deleted, Restored
from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestUnknown, NameUnknown, Unsupported
from cais_registry.model.limits import Limits
from cais_registry.model.manifest import parse
from cais_registry.model.names import RepoName, Tag
from cais_registry.model.page import Page
from cais_registry.services.changes import Changes
from cais_registry.stores import undelete_rows as rows
from cais_registry.stores.connection import Connection
from cais_registry.stores.database import Database
from cais_registry.stores.repo_rows import find_repo
from cais_registry.stores.tag_rows import point_tag


class Undelete:
    """Brings back what was deleted, as long as garbage collection has not taken it.

    That is for `undelete_window` at least, and until the collection after it.
    """

    def __init__(self, database: Database, changes: Changes, limits: Limits) -> None:
        self._database = database
        self._changes = changes
        self._limits = limits

    async def list(self, repo: RepoName, *, limit: int, last: str | None = None) -> Page[Deleted]:
        """List what can come back: tags by name, manifests by digest, in ASCII order.

        A tag that points at another manifest by now is not listed.

        Args:
            repo: The repository.
            limit: Most items on the page.
            last: Only references after this text.

        Raises:
            NameUnknown: If nothing of such a repository is there any more.
        """

        def work(connection: Connection) -> tuple[Deleted, ...]:
            found = rows.deleted_after(connection, _repo(connection, repo), last or "", limit + 1)
            return tuple(
                Deleted(
                    reference=row["reference"],
                    digest=row["digest"],
                    deleted_at=datetime.fromtimestamp(row["deleted_at"] / 1e6, UTC),
                    reason=row["reason"],
                )
                for row in found
            )

        found = await self._database.read_slowly(work)
        items = found[:limit]
        has_more = bool(items) and len(found) > limit
        return Page(items=items, last=items[-1].reference if has_more else None)

    async def bring_back(self, repo: RepoName, reference: Tag | Digest) -> Restored:
        """Bring back a tag with its manifest, or a manifest with the tags that went with it.

        Doing it twice changes nothing more. When it returns, it survives a power loss.

        Raises:
            NameUnknown: If nothing of such a repository is there any more.
            ManifestUnknown: If it was not deleted, or garbage collection has taken it.
            Unsupported: If the tag points at another manifest now, or a part is lost.
            ReadOnly: If the registry is read-only.
        """
        work = self._tag if isinstance(reference, Tag) else self._manifest
        return await self._changes.write(partial(work, repo, reference))

    def _tag(self, repo: RepoName, tag: Tag | Digest, connection: Connection) -> Restored:
        repo_id, name = _repo(connection, repo), str(tag)
        deletion = rows.last_deletion(connection, repo_id, name)
        now = rows.tag_target(connection, repo_id, name)
        if now is not None and (deletion is None or deletion.digest == now):
            return Restored(digest=Digest.parse(now))
        if now is not None:
            raise Unsupported(
                f"tag {name} of {repo} points at {now} now: give that another tag and delete "
                f"{name}, then bring {name} back"
            )
        if deletion is None or not deletion.is_kept:
            raise _gone(repo, name)
        revived = self._revive(connection, repo, repo_id, deletion.digest)
        _retag(connection, repo_id, name, deletion.digest)
        return Restored(digest=Digest.parse(deletion.digest), tags=(name,), manifests=len(revived))

    def _manifest(self, repo: RepoName, digest: Tag | Digest, connection: Connection) -> Restored:
        repo_id, wanted = _repo(connection, repo), str(digest)
        moment = rows.deleted_at(connection, repo_id, wanted)
        if moment is None:
            raise _gone(repo, wanted)
        if moment == 0:
            return Restored(digest=Digest.parse(wanted))
        names = rows.tags_deleted_with(connection, repo_id, wanted, moment)
        free = [name for name in names if rows.tag_target(connection, repo_id, name) is None]
        revived = self._revive(connection, repo, repo_id, wanted)
        for name in free:
            _retag(connection, repo_id, name, wanted)
        return Restored(
            digest=Digest.parse(wanted),
            tags=tuple(free),
            taken=tuple(name for name in names if name not in free),
            manifests=len(revived),
        )

    def _revive(
        self, connection: Connection, repo: RepoName, repo_id: int, digest: str
    ) -> tuple[str, ...]:
        revived = tuple(rows.revive(connection, repo_id, digest))
        for parent in revived:
            missing = self._missing(connection, repo_id, parent)
            if missing:
                raise Unsupported(
                    f"manifest {parent} of {repo} cannot come back: garbage collection has taken "
                    f"{missing[0]}, which is a part of it; push the image again",
                    detail={"manifests": list(missing[:20])},
                )
        return revived

    def _missing(self, connection: Connection, repo_id: int, parent: str) -> tuple[str, ...]:
        """What a push of a manifest would have to bring, and that is not there any more."""
        lost = rows.lost_children(connection, repo_id, parent)
        if not lost or self._limits.sparse_manifests:
            return ()
        media_type, content = rows.content_of(connection, repo_id, parent)
        known = parse(content, media_type, max_references=self._limits.manifest_references)
        needed = {*map(str, known.blobs), *map(str, known.children)}
        return tuple(sorted(needed.intersection(lost)))


def _retag(connection: Connection, repo_id: int, name: str, digest: str) -> None:
    point_tag(connection, repo_id, name, digest)
    rows.forget_deletion(connection, repo_id, name)


def _repo(connection: Connection, repo: RepoName) -> int:
    repo_id = find_repo(connection, repo)
    if repo_id is None:
        raise NameUnknown(
            f"there is no repository {repo}, and nothing of one that can come back",
            detail={"name": repo.value},
        )
    return repo_id


def _gone(repo: RepoName, reference: str) -> ManifestUnknown:
    return ManifestUnknown(
        f"nothing of {repo} called {reference} can come back: it was never deleted, or garbage "
        "collection has taken it after the undelete window"
    )
