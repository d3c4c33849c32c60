# SPDX-License-Identifier: Apache-2.0
"""What the registry was told to keep to; it may change while the server runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from cais_registry.config.retention import Retention
from cais_registry.model.errors import ReadOnly
from cais_registry.model.globs import matches_repo, matches_text
from cais_registry.model.names import RepoName


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRule:
    """Tags of some repositories.

    Attributes:
        repositories: Patterns, of which one has to cover the repository.
        tags: Patterns, of which one has to cover the tag.
    """

    repositories: tuple[str, ...]
    tags: tuple[str, ...]

    def covers(self, repo: RepoName, tag: str) -> bool:
        """Tell whether a tag of a repository is meant."""
        return any(matches_text(glob, tag) for glob in self.tags) and any(
            matches_repo(glob, repo.value) for glob in self.repositories
        )

    def __str__(self) -> str:
        """Return the rule as a configuration file has it, on one line."""
        repositories, tags = ", ".join(self.repositories), ", ".join(self.tags)
        return f"{{repositories: [{repositories}], tags: [{tags}]}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds at this moment. Ask for it anew at each use, inside of a transaction too.

    Attributes:
        push_lease: What a pusher was told exists is kept for so long.
        undelete_window: What was deleted can come back for so long.
        upload_ttl: An upload that nobody writes to is dropped after so long.
        immutable_tags: Tags that, once there, are neither moved nor deleted, by whomever.
        read_only: Nothing that clients see may change.
        quota: Most bytes that may be stored (`stores.usage_rows`); None for no limit.
        retention: What is deleted by itself.
    """

    push_lease: timedelta = timedelta(hours=24)
    undelete_window: timedelta = timedelta(hours=24)
    upload_ttl: timedelta = timedelta(hours=24)
    immutable_tags: tuple[TagRule, ...] = ()
    read_only: bool = False
    quota: int | None = None
    retention: Retention = field(default_factory=Retention)

    def immutable_by(self, repo: RepoName, tag: str) -> TagRule | None:
        """The first rule that makes a tag immutable, None if none does."""
        return next((rule for rule in self.immutable_tags if rule.covers(repo, tag)), None)

    def is_immutable(self, repo: RepoName, tag: str) -> bool:
        """Tell whether a tag, if it is there, must stay as it is."""
        return self.immutable_by(repo, tag) is not None

    def check_writable(self) -> None:
        """Let a change of what clients see pass, or not.

        Raises:
            ReadOnly: If the registry is read-only.
        """
        if self.read_only:
            raise ReadOnly(
                "the registry is read-only: pulls and listings go on, pushes and deletions are "
                "refused until whoever runs it ends that (readOnly)"
            )
