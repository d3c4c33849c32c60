# SPDX-License-Identifier: Apache-2.0
"""Limits that come and go hold in any schedule, crashes and all; see `test_stateful`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from cais_registry.model.policy import TagRule
from cais_registry.stores.connection import Connection
from cais_registry.stores.usage_rows import counted_bytes, stored_bytes
from registry.test_stateful import Schedule

Tags = dict[tuple[int, str], str]


class LimitedSchedule(Schedule):
    """The same clients, and somebody who changes the limits between what they do."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: tuple[int, Tags] | None = None

    def limit(self, **limits: Any) -> None:
        self.policy = replace(self.policy, **limits)
        self.world.policy = self.policy

    @rule(quota=st.none() | st.integers(1, 3000))
    def set_quota(self, quota: int | None) -> None:
        self.limit(quota=quota)

    @rule(tags=st.sampled_from([("a",), ("*",), ()]))
    def set_immutable(self, tags: tuple[str, ...]) -> None:
        rules = (TagRule(repositories=("team/*",), tags=tags),) if tags else ()
        self.limit(immutable_tags=rules)

    @rule(read_only=st.booleans())
    def set_read_only(self, *, read_only: bool) -> None:
        self.limit(read_only=read_only)

    @invariant()
    def limits_are_kept(self) -> None:
        """Against what was there one step before; a step that sets a limit changes nothing else."""
        if not hasattr(self, "core"):
            return
        kept, counted, tags = self.runner.run(self.core.database.read(look))
        assert kept == counted
        if self.seen is not None:
            self.compare(*self.seen, kept, tags)
        self.seen = kept, tags

    def compare(self, stored_before: int, before: Tags, stored: int, tags: Tags) -> None:
        policy = self.policy
        if policy.quota is not None:
            assert stored <= max(stored_before, policy.quota)
        if policy.read_only:
            assert stored <= stored_before
            assert tags == before
        for one in policy.immutable_tags:
            fixed = {key: to for key, to in before.items() if set(one.tags) & {"*", key[1]}}
            assert {key: tags.get(key) for key in fixed} == fixed

    def teardown(self) -> None:
        if hasattr(self, "core"):
            self.limit(quota=None, immutable_tags=(), read_only=False)
        super().teardown()


def look(connection: Connection) -> tuple[int, int, Tags]:
    rows = connection.execute("SELECT repo_id, name, manifest_digest FROM tag")
    tags = {(row["repo_id"], row["name"]): row["manifest_digest"] for row in rows}
    return stored_bytes(connection), counted_bytes(connection), tags


TestLimitedSchedule = LimitedSchedule.TestCase
TestLimitedSchedule.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
