# SPDX-License-Identifier: Apache-2.0
"""Deletes a tag, or a manifest with its tags, in one transaction."""

from __future__ import annotations

from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestUnknown, Unsupported
from cais_registry.model.names import RepoName, Tag
from cais_registry.model.policy import Policy
from cais_registry.services.manifest_values import Removed
from cais_registry.stores.connection import Connection
from cais_registry.stores.immutable_rows import refuse_removal
from cais_registry.stores.manifest_rows import delete_manifest, find_manifest, parents_of
from cais_registry.stores.repo_rows import find_repo
from cais_registry.stores.tag_rows import delete_tag


def remove(
    connection: Connection, policy: Policy, repo: RepoName, reference: Tag | Digest
) -> Removed:
    """Delete what a client names, softly.

    Raises:
        ManifestUnknown: If the repository does not have it.
        Denied: If an immutable tag keeps it.
        Unsupported: By digest, while an index of the repository refers to the manifest.
    """
    repo_id = find_repo(connection, repo)
    if repo_id is None:
        raise manifest_unknown(repo, reference)
    refuse_removal(connection, policy, repo, reference)
    if isinstance(reference, Tag):
        digest = delete_tag(connection, repo_id, reference.value)
        if digest is None:
            raise manifest_unknown(repo, reference)
        return Removed(digest=digest, tags=(reference.value,))
    if find_manifest(connection, repo, reference) is None:
        raise manifest_unknown(repo, reference)
    parents = parents_of(connection, repo_id, reference)
    if parents:
        raise Unsupported(
            f"manifest {reference} is part of index {parents[0]} of {repo}: delete that one first",
            detail={"manifests": list(parents)},
        )
    tags = delete_manifest(connection, repo_id, reference)
    return Removed(digest=str(reference), tags=tags or ())


def manifest_unknown(repo: RepoName, reference: Tag | Digest) -> ManifestUnknown:
    """The error for a manifest that a repository does not have."""
    return ManifestUnknown(
        f"repository {repo} has no manifest {reference}: push it there, or check name and tag",
        detail={"reference": str(reference)},
    )
