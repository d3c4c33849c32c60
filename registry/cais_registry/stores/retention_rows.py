# SPDX-License-Identifier: Apache-2.0
"""What retention looks at, page by page, and what it deletes: steps K1 and K2 of docs/adr/0024.

Pages are read over snapshots. Whoever deletes looks again in the transaction that does it: a tag
that was pushed or pulled meanwhile, or a manifest that something lists by now, is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from cais_registry.config.retention import RetentionRule
from cais_registry.model.digest import Digest
from cais_registry.model.retention import (
    Facts,
    Going,
    Judge,
    Moment,
    Tagged,
    untagged,
)
from cais_registry.stores.connection import Connection, Row, one
from cais_registry.stores.manifest_rows import delete_manifest
from cais_registry.stores.pull_rows import pulls_known_since
from cais_registry.stores.tag_rows import delete_tag

IsProtected = Callable[[str, str], bool]
"""Whether a tag of a repository, by their names, must not be deleted (immutable)."""

_FROM_THE_END: Final = (2**62, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One repository, and what counts there.

    Attributes:
        repo_id: Its key.
        name: Its name.
        rule: The rule.
        moment: The time for which is decided.
        is_protected: See `IsProtected`.
        is_dry: Whether nothing is deleted after all.
    """

    repo_id: int
    name: str
    rule: RetentionRule
    moment: Moment
    is_protected: IsProtected
    is_dry: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a walk.

    Attributes:
        going: What the rule does not keep.
        after: Where the next part begins; None at the end.
    """

    going: tuple[Going, ...]
    after: tuple[int, str] | None


def repositories_after(connection: Connection, last: str, limit: int) -> list[tuple[int, str]]:
    """Keys and names of repositories, in the order of their names."""
    rows = connection.execute(
        "SELECT id, name FROM repository WHERE name > :last ORDER BY name LIMIT :limit",
        {"last": last, "limit": limit},
    )
    return [(row["id"], row["name"]) for row in rows]


def judge_tags(
    connection: Connection,
    place: Place,
    judge: Judge,
    after: tuple[int, str] | None,
    limit: int,
) -> Page:
    """Look at the next tags of a repository, from the newest to the oldest."""
    pushed_at, name = after or _FROM_THE_END
    rows = connection.execute(
        "SELECT name, manifest_digest, updated_at FROM tag WHERE repo_id = :repo"
        " AND (updated_at, name) < (:pushed_at, :name)"
        " ORDER BY updated_at DESC, name DESC LIMIT :limit",
        {"repo": place.repo_id, "pushed_at": pushed_at, "name": name, "limit": limit},
    )
    facts = _facts(connection, place)
    going = (judge.going(_tagged(row), facts) for row in rows)
    return Page(
        going=tuple(one for one in going if one is not None),
        after=(rows[-1]["updated_at"], rows[-1]["name"]) if len(rows) == limit else None,
    )


def _tagged(row: Row) -> Tagged:
    return Tagged(name=row["name"], digest=row["manifest_digest"], pushed_at=row["updated_at"])


def _facts(connection: Connection, place: Place) -> Facts:
    return Facts(
        is_protected=partial(place.is_protected, place.name),
        exists=partial(_exists, connection, place.repo_id),
        is_pulled=partial(_is_pulled, connection, place.repo_id),
        pulls_known_since=partial(pulls_known_since, connection),
    )


def _exists(connection: Connection, repo_id: int, digest: str) -> bool:
    """Whether a manifest has a row; one that is deleted may come back, with what belongs to it."""
    rows = connection.execute(
        "SELECT 1 FROM manifest WHERE repo_id = :repo AND digest = :digest",
        {"repo": repo_id, "digest": digest},
    )
    return bool(rows)


def _is_pulled(connection: Connection, repo_id: int, digest: str, start: int) -> bool:
    """Whether a manifest was pulled, or any that it lists, at whatever depth."""
    rows = connection.execute(
        "WITH RECURSIVE below (digest) AS"
        " (SELECT digest FROM manifest WHERE repo_id = :repo AND digest = :digest UNION"
        " SELECT c.child_digest FROM below b JOIN manifest_child c"
        " ON c.repo_id = :repo AND c.parent_digest = b.digest)"
        " SELECT 1 FROM below b JOIN manifest m ON m.repo_id = :repo AND m.digest = b.digest"
        " WHERE m.last_pulled_at >= :start LIMIT 1",
        {"repo": repo_id, "digest": digest, "start": start},
    )
    return bool(rows)


def lost_of_the_last(connection: Connection, place: Place, judge: Judge) -> list[str]:
    """Those of the newest tags, by which others were found to be too old, that are gone by now."""
    return [name for name in sorted(judge.last) if _tag(connection, place.repo_id, name) is None]


def delete_tags(
    connection: Connection, place: Place, judge: Judge, going: Sequence[Going]
) -> list[Going]:
    """K1: delete tags that are still as they were seen, and that nothing keeps now.

    Args:
        connection: The transaction.
        place: The repository and its rule.
        judge: As it decided; only read.
        going: Its decisions.

    Returns:
        What was deleted, or would be.
    """
    facts, gone = _facts(connection, place), []
    for decided in going:
        row = _tag(connection, place.repo_id, decided.reference)
        if row is None or (row["manifest_digest"], row["updated_at"]) != (
            decided.digest,
            decided.since,
        ):
            continue
        tag = _tagged(row)
        if judge.is_spared(tag, facts) or judge.is_recent(tag, facts):
            continue
        if not place.is_dry:
            delete_tag(connection, place.repo_id, tag.name, reason=decided.reason)
        gone.append(decided)
    return gone


def _tag(connection: Connection, repo_id: int, name: str) -> Row | None:
    return one(
        connection,
        "SELECT name, manifest_digest, updated_at FROM tag WHERE repo_id = :repo AND name = :name",
        {"repo": repo_id, "name": name},
    )


# What nothing holds: no tag, no index that lists it, no subject, no promise to a pusher.
_FREE: Final = (
    " AND m.deleted_at IS NULL AND m.touched_at <= :leased"
    " AND NOT EXISTS (SELECT 1 FROM tag WHERE repo_id = :repo AND manifest_digest = m.digest)"
    " AND NOT EXISTS (SELECT 1 FROM manifest_child WHERE repo_id = :repo"
    " AND child_digest = m.digest AND parent_digest <> m.digest)"
    " AND NOT EXISTS (SELECT 1 FROM manifest s WHERE s.repo_id = :repo"
    " AND s.digest = m.subject_digest AND s.digest <> m.digest)"
)
_UNTAGGED: Final = (
    "FROM manifest m WHERE m.repo_id = :repo AND (tagged_at IS NULL OR untagged_at IS NOT NULL)"
    " AND COALESCE(untagged_at, created_at) <= :before"
)


def _limits(place: Place) -> dict[str, int]:
    after = place.rule.untagged_after
    if after is None:
        raise AssertionError("the rule keeps untagged manifests")
    return {
        "repo": place.repo_id,
        "before": place.moment.before(after),
        "leased": place.moment.now - place.moment.lease,
    }


def judge_untagged(connection: Connection, place: Place, last: str, limit: int) -> Page:
    """Look at the next manifests of a repository that have been without a tag for long."""
    rows = connection.execute(
        "SELECT digest, COALESCE(untagged_at, created_at) AS since,"
        " untagged_at IS NOT NULL AS was_tagged,"
        f" CASE WHEN 1 = 1{_FREE} THEN 1 ELSE 0 END AS free {_UNTAGGED}"
        " AND digest > :last ORDER BY digest LIMIT :limit",
        {**_limits(place), "last": last, "limit": limit},
    )
    return Page(
        going=tuple(_untagged(place, row) for row in rows if row["free"]),
        after=(0, rows[-1]["digest"]) if len(rows) == limit else None,
    )


def _untagged(place: Place, row: Row) -> Going:
    was_tagged = bool(row["was_tagged"])
    return untagged(place.rule, row["digest"], row["since"], was_tagged=was_tagged)


def delete_untagged(connection: Connection, place: Place, going: Sequence[Going]) -> list[Going]:
    """K2: delete manifests that still have no tag and that still nothing holds; softly.

    Returns:
        What was deleted, or would be.
    """
    gone = []
    for decided in going:
        rows = connection.execute(
            f"SELECT 1 {_UNTAGGED} AND m.digest = :digest{_FREE}",
            {**_limits(place), "digest": decided.digest},
        )
        if not rows:
            continue
        if not place.is_dry:
            delete_manifest(connection, place.repo_id, Digest.parse(decided.digest))
        gone.append(decided)
    return gone
