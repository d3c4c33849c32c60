# SPDX-License-Identifier: Apache-2.0
"""What immutable tags, and the right to create only, forbid; seen in the transaction itself."""

from __future__ import annotations

from collections.abc import Sequence

from cais_registry.model.digest import Digest
from cais_registry.model.errors import Denied
from cais_registry.model.names import RepoName, Tag
from cais_registry.model.policy import Policy
from cais_registry.stores.connection import Connection, one
from cais_registry.stores.new_manifest import NewManifest


def refuse_moves(
    connection: Connection, policy: Policy, repo: RepoName, tags: Sequence[Tag], new: NewManifest
) -> None:
    """Let tags be pointed at a manifest, or not; the one that they point at already is no change.

    Raises:
        Denied: If a rule keeps one of them where it is, or a tag of the manifest as it is.
    """
    if not policy.immutable_tags:
        return
    digest = new.digest
    for tag in tags:
        if policy.is_immutable(repo, tag.value):
            found = _target(connection, repo, tag.value)
            if found not in (None, str(digest)):
                raise _denied(policy, repo, tag.value, str(found), f"it cannot become {digest}")
    if _type(connection, repo, digest) not in (None, new.media_type):
        for name in _tags_of(connection, repo, digest):
            if policy.is_immutable(repo, name):
                raise _denied(policy, repo, name, str(digest), "its media type cannot change")


def refuse_changes(
    connection: Connection, repo: RepoName, tags: Sequence[Tag], new: NewManifest
) -> None:
    """Let someone push who may only create: what is there already has to stay as it is.

    Raises:
        Denied: If one of the tags points at another manifest, or the manifest is there as one of
            another type.
    """
    for tag in tags:
        if _target(connection, repo, tag.value) not in (None, str(new.digest)):
            raise Denied(
                f"tag {tag} of {repo} exists and points at another manifest: you may create tags, "
                "not move them; push under a new tag, or ask for a rule with the action push",
                detail={"tag": tag.value},
            )
    if _type(connection, repo, new.digest) not in (None, new.media_type):
        raise Denied(
            f"manifest {new.digest} of {repo} exists with another media type: you may create "
            "manifests, not change them; ask for a rule with the action push",
            detail={"digest": str(new.digest)},
        )


def refuse_removal(
    connection: Connection, policy: Policy, repo: RepoName, reference: Tag | Digest
) -> None:
    """Let a tag be deleted, or a manifest with all its tags, or not.

    Raises:
        Denied: If a rule keeps it.
    """
    if not policy.immutable_tags:
        return
    if isinstance(reference, Tag):
        names, why = [reference.value], "it cannot be deleted"
    else:
        names, why = _tags_of(connection, repo, reference), "neither can be deleted"
    for name in names:
        found = _target(connection, repo, name)
        if found is not None and policy.is_immutable(repo, name):
            raise _denied(policy, repo, name, found, why)


def _target(connection: Connection, repo: RepoName, tag: str) -> str | None:
    row = one(
        connection,
        "SELECT t.manifest_digest FROM repository r JOIN tag t ON t.repo_id = r.id"
        " WHERE r.name = :repo AND t.name = :tag",
        {"repo": repo.value, "tag": tag},
    )
    return None if row is None else str(row["manifest_digest"])


def _type(connection: Connection, repo: RepoName, digest: Digest) -> str | None:
    row = one(
        connection,
        "SELECT m.media_type FROM repository r JOIN manifest m ON m.repo_id = r.id"
        " WHERE r.name = :repo AND m.digest = :digest AND m.deleted_at IS NULL",
        {"repo": repo.value, "digest": str(digest)},
    )
    return None if row is None else str(row["media_type"])


def _tags_of(connection: Connection, repo: RepoName, digest: Digest) -> list[str]:
    rows = connection.execute(
        "SELECT t.name FROM repository r JOIN tag t ON t.repo_id = r.id"
        " WHERE r.name = :repo AND t.manifest_digest = :digest ORDER BY t.name",
        {"repo": repo.value, "digest": str(digest)},
    )
    return [row["name"] for row in rows]


def _denied(policy: Policy, repo: RepoName, tag: str, digest: str, why: str) -> Denied:
    rule = str(policy.immutable_by(repo, tag))
    return Denied(
        f"tag {tag} of {repo} is immutable and points at {digest}: {why}; the rule is {rule}",
        detail={"tag": tag, "digest": digest, "rule": rule},
    )
