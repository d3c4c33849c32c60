# SPDX-License-Identifier: Apache-2.0
"""Any schedule with rules of retention keeps what the rules keep, and all that belongs to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, settings

from cais_registry.config.retention import parse
from cais_registry.model.digest import Digest
from cais_registry.model.names import RepoName
from core_support import HOUR
from registry.test_stateful import Key, Schedule

RULE = {
    "repositories": ["**"],
    "keepTags": ["a"],
    "keepNewerThan": "1h",
    "keepPulledWithin": "1h",
    "untaggedAfter": "30m",
}
_HOUR = HOUR // timedelta(microseconds=1)


class Retaining(Schedule):
    """Tags `a` stay, others may go an hour after their push, what has no tag after 30 minutes."""

    def open(self) -> None:
        self.policy = replace(self.policy, retention=parse([RULE]))
        self.pushed: dict[tuple[RepoName, str], int] = getattr(self, "pushed", {})
        super().open()
        self.core.pulls.patience_seconds = 0

    def put(self, repo: RepoName, content: bytes, tags: list[str]) -> None:
        super().put(repo, content, tags)
        for tag in tags:
            if self.tags.get((repo, tag)) == Digest.of(content):
                self.pushed[repo, tag] = self.clock.now

    def kept(self) -> set[Key]:
        everything = self.tags
        self.tags = {key: target for key, target in everything.items() if self.stays(key)}
        try:
            return super().kept()
        finally:
            self.tags = everything

    def stays(self, key: tuple[RepoName, str]) -> bool:
        return key[1] == "a" or self.clock.now - self.pushed[key] < _HOUR


TestRetaining = Retaining.TestCase
TestRetaining.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
