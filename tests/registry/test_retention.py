# SPDX-License-Identifier: Apache-2.0
"""Tags that no rule keeps go, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cais_registry.config.retention import parse
from cais_registry.model.digest import Digest
from cais_registry.model.names import RepoName, Tag
from cais_registry.model.policy import Policy, TagRule
from cais_registry.services import retention
from core_support import HOUR, OTHER, REPO, World, collect, count, image, push_blob, push_image, put
from retention_support import goes, report, set_rules, tags


@pytest.fixture
def world(tmp_path: Path) -> World:
    """What was deleted can come back for an hour."""
    return World(tmp_path / "data", policy=Policy(push_lease=HOUR, undelete_window=HOUR))


async def test_without_a_rule_everything_is_kept_for_ever(world: World) -> None:
    set_rules(world, {"repositories": ["other/**"], "keepLast": 1, "untaggedAfter": "0s"})
    async with world.open() as core:
        for number in range(3):
            await push_image(core, f"image {number}", f"v{number}")
        await push_image(core, "untagged")
        world.clock.forward(HOUR * 100_000)
        assert await goes(core) == set()
        assert await tags(core) == {"v0", "v1", "v2"}


KEPT: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"v1", "v2", "main", "a", "b"}),
    ({"keepTags": ["v*", "main"]}, {"v1", "v2", "main"}),
    ({"keepTags": ["nothing"]}, set()),
    ({"keepLast": 2}, {"a", "b"}),
    ({"keepLast": 9}, {"v1", "v2", "main", "a", "b"}),
    ({"keepLast": 1, "keepTags": ["v*", "b"]}, {"v1", "v2", "b", "a"}),
    ({"keepNewerThan": "150m"}, {"a", "b"}),
    ({"keepLast": 4, "keepNewerThan": "1m"}, {"v2", "main", "a", "b"}),
    ({"keepTags": ["v1"], "keepNewerThan": "90m"}, {"v1", "b"}),
]


@pytest.mark.parametrize(("rule", "kept"), KEPT)
async def test_a_tag_is_kept_by_any_of_what_a_rule_says(
    world: World, rule: dict[str, Any], kept: set[str]
) -> None:
    set_rules(world, rule)
    async with world.open() as core:
        for tag in ("v1", "v2", "main", "a", "b"):
            await push_image(core, tag, tag)
            world.clock.forward(HOUR)
        assert await goes(core, dry_run=True) == {"v1", "v2", "main", "a", "b"} - kept
        assert len(await tags(core)) == 5
        assert await goes(core) == {"v1", "v2", "main", "a", "b"} - kept
        assert await tags(core) == kept


async def test_the_first_rule_that_matches_a_repository_counts(world: World) -> None:
    set_rules(
        world,
        {"repositories": [OTHER.value], "keepTags": ["v1"]},
        {"repositories": ["team/*"], "keepTags": ["v2"]},
    )
    async with world.open() as core:
        for repo in (REPO, OTHER):
            await push_image(core, "one", "v1", repo=repo)
            await push_image(core, "two", "v2", repo=repo)
        await collect(core)
        assert await tags(core, OTHER) == {"v1"}
        assert await tags(core, REPO) == {"v2"}


async def test_a_tag_pushed_again_is_new(world: World) -> None:
    set_rules(world, {"keepNewerThan": "90m"})
    async with world.open() as core:
        content = await push_image(core, "one", "old", "again")
        world.clock.forward(HOUR * 2)
        await put(core, content, "again")
        assert await goes(core) == {"old"}


async def test_what_is_deleted_says_why_and_gives_its_bytes_back_after_the_window(
    world: World,
) -> None:
    set_rules(world, {"keepLast": 1, "keepTags": ["v*"], "keepNewerThan": "30m"})
    async with world.open() as core:
        content = await push_image(core, "one", "old")
        world.clock.forward(HOUR)
        await push_image(core, "two", "new")
        (line,) = await report(core)
        assert (line.kind, line.repository, line.digest) == (
            "tag",
            REPO.value,
            str(Digest.of(content)),
        )
        assert line.reason == (
            "retention[0]: pushed 2027-01-15T08:00Z, matches none of keepTags, "
            "not one of the newest 1, older than 0h30m0s"
        )
        rows = await core.database.read(
            lambda connection: connection.execute("SELECT name, reason FROM deleted_tag")
        )
        assert [(row["name"], row["reason"]) for row in rows] == [("old", line.reason)]
        run = await core.collector.last()
        assert run is not None
        assert (run.tags_deleted, run.manifests_deleted) == (1, 0)
        assert "retention took 1 tags and 0 untagged manifests" in run.message
        assert run.bytes_reclaimable == len(content) + len(b'{"name": "one"}')
        world.clock.forward(HOUR * 1.1)
        assert (await collect(core)).manifests_deleted == 1


async def test_a_rule_may_only_say_what_it_would_do(world: World) -> None:
    set_rules(world, {"keepLast": 1, "untaggedAfter": "1h", "dryRun": True})
    async with world.open() as core:
        await push_image(core, "untagged")
        await push_image(core, "one", "v1")
        await push_image(core, "two", "v2")
        world.clock.forward(HOUR * 2)
        lines = await report(core)
        assert [line.dry_run for line in lines] == [True, True]
        run = await core.collector.last()
        assert run is not None
        assert (run.tags_deleted, run.untagged_deleted) == (0, 0)
        assert await tags(core) == {"v1", "v2"}
        assert await count(core, "manifest WHERE deleted_at IS NULL") == 3


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
async def test_what_is_attached_by_tag_to_a_kept_digest_is_kept_and_goes_with_it(
    world: World, suffix: str
) -> None:
    set_rules(world, {"keepLast": 1})
    async with world.open() as core:
        subject = await push_image(core, "one", "v1")
        name = f"sha256-{Digest.of(subject).encoded}{suffix}"
        lone = f"sha256-{'0' * 64}{suffix}"
        await push_image(core, "signature", name)
        await push_image(core, "of nothing", lone)
        assert await goes(core) == {"v1"}
        assert await tags(core) == {name, lone}
        world.clock.forward(HOUR * 1.1)
        await collect(core)
        assert await tags(core) == {lone}
        await push_image(core, "two", "v2")
        assert await goes(core) == {lone}


async def test_immutable_tags_are_kept_and_count_for_nothing(world: World) -> None:
    immutable = TagRule(repositories=("team/*",), tags=("v*",))
    world.policy = replace(world.policy, immutable_tags=(immutable,))
    set_rules(world, {"keepLast": 1})
    async with world.open() as core:
        for tag in ("v1", "a", "b", "v2"):
            await push_image(core, tag, tag)
        assert await goes(core, dry_run=True) == {"a"}
        assert await goes(core) == {"a"}
        assert await tags(core) == {"v1", "v2", "b"}


async def test_while_the_registry_is_read_only_nothing_goes_but_may_be_listed(
    world: World,
) -> None:
    set_rules(world, {"keepLast": 1, "untaggedAfter": "1h"})
    async with world.open() as core:
        await push_image(core, "one", "a", "b")
        world.policy = replace(world.policy, read_only=True)
        assert await goes(core, dry_run=True) == {"a"}
        assert await goes(core) == set()
        assert await tags(core) == {"a", "b"}
        world.policy = replace(world.policy, read_only=False)
        assert await goes(core) == {"a"}


async def test_a_tag_that_is_attached_to_its_own_manifest_is_a_tag_like_others(
    world: World,
) -> None:
    set_rules(world, {"keepTags": ["v*"]})
    async with world.open() as core:
        content = await push_image(core, "one")
        name = f"sha256-{Digest.of(content).encoded}"
        await put(core, content, name)
        assert await goes(core) == {name}


async def test_when_a_client_deletes_one_of_the_newest_the_next_one_is_kept(world: World) -> None:
    """Between the decision and the deletion, which is when it matters."""
    set_rules(world, {"keepLast": 2})

    async with world.open() as core:
        for number in range(5):
            await push_image(core, f"image {number}", f"v{number}")
        take = core.database.write
        state = {"armed": True}

        async def write(work: Any) -> Any:
            if state["armed"] and "_take_tags" in getattr(work, "__qualname__", ""):
                state["armed"] = False
                await core.manifests.delete(REPO, Tag("v4"))
            return await take(work)

        core.database.write = write  # type: ignore[method-assign]
        assert await goes(core) == {"v0", "v1"}
        assert not state["armed"]
        assert await tags(core) == {"v2", "v3"}


@pytest.mark.parametrize("act", ["push", "pull", "subject"])
async def test_a_tag_that_is_used_between_decision_and_deletion_is_kept(
    world: World, act: str
) -> None:
    set_rules(world, {"keepTags": ["v*"], "keepPulledWithin": "2h"})
    subject = image(b"{}")
    name = f"sha256-{Digest.of(subject).encoded}.sig"
    async with world.open() as core:
        await push_blob(core, b"{}")
        content = await push_image(core, "one", name)
        other = await push_image(core, "other", "v1", "gone")
        world.clock.forward(HOUR * 3)

        async def use() -> None:
            match act:
                case "push":
                    await put(core, other, name)
                case "pull":
                    core.pulls.note(REPO, Digest.of(content))
                case _:
                    await put(core, subject)

        keeper = vars(core.collector)["_keeper"]
        ready = keeper._ready

        async def hurry(step: str, task: Any) -> None:
            await use()
            await ready(step, task)

        keeper._ready = hurry
        assert await goes(core) == {"gone"}
        assert await tags(core) == {"v1", name}


async def test_rules_that_change_while_they_are_applied_are_applied_no_further(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rules(world, {"keepTags": ["v*"]})
    monkeypatch.setattr(retention, "_BATCH", 10)
    steps: list[str] = []

    def take_back(step: str) -> None:
        steps.append(step)
        if steps.count("K1") == 1:
            world.policy = replace(world.policy, retention=parse([]))

    world.failpoint = take_back
    async with world.open() as core:
        await push_image(core, "one", *(f"t{number}" for number in range(25)))
        await collect(core)
        assert steps.count("K1") == 1
        assert len(await tags(core)) == 25
        set_rules(world, {"keepTags": ["v*"]})
        await collect(core)
        assert await tags(core) == set()


async def test_many_repositories_and_more_tags_than_a_page_are_gone_through(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("_REPOSITORIES", 2), ("_PAGE", 7), ("_BATCH", 3)):
        monkeypatch.setattr(retention, name, size)
    set_rules(world, {"keepLast": 3})
    async with world.open() as core:
        repos = [RepoName.parse(f"r/{number}") for number in range(5)]
        for size, repo in enumerate(repos, 14):
            await push_image(core, "one", *(f"t{n:02}" for n in range(size)), repo=repo)
        lines = await report(core)
        assert len(lines) == len({(line.repository, line.reference) for line in lines})
        assert len(lines) == sum(range(11, 16))
        for size, repo in enumerate(repos, 14):
            assert await tags(core, repo) == {f"t{n:02}" for n in range(size - 3, size)}
