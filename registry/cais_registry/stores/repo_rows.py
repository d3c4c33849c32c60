# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from cais_registry.model.names import RepoName
from cais_registry.stores.connection import Connection, one


def find_repo(connection: Connection, repo: RepoName) -> int | None:
    """The key of a repository, None if there is no such."""
    row = one(connection, "SELECT id FROM repository WHERE name = :name", {"name": repo.value})
    return None if row is None else int(row["id"])


def ensure_repo(connection: Connection, repo: RepoName) -> int:
    """The key of a repository, made if need be."""
    found = find_repo(connection, repo)
    if found is not None:
        return found
    rows = connection.execute(
        "INSERT INTO repository (name, created_at) VALUES (:name, :now) RETURNING id",
        {"name": repo.value, "now": connection.now},
    )
    return int(rows[0]["id"])


def drop_if_empty(connection: Connection, repo_id: int) -> None:
    """Forget a repository that holds nothing any more."""
    connection.execute(
        "DELETE FROM repository WHERE id = :repo"
        " AND NOT EXISTS (SELECT 1 FROM manifest WHERE repo_id = :repo)"
        " AND NOT EXISTS (SELECT 1 FROM repo_blob WHERE repo_id = :repo)",
        {"repo": repo_id},
    )
