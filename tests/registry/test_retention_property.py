# SPDX-License-Identifier: Apache-2.0
"""On any data a dry run lists what the run then deletes, and both are what the rules say."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cais_registry.model.digest import Digest
from cais_registry.model.policy import Policy
from cais_registry.model.run import RunState
from cais_registry.stores.connection import Connection, Row
from core_support import HOUR, OTHER, REPO, World, collect, image, index, push_blob, put
from retention_support import report, set_rules, tags

HOURS = st.integers(0, 12)
NAMES = st.sampled_from(["v1", "v2", "v10", "main", "a", "b", "signature"])
RULES = st.fixed_dictionaries(
    {},
    optional={
        "keepTags": st.lists(st.sampled_from(["v*", "main", "*1*", "x"]), max_size=2),
        "keepLast": st.integers(1, 4),
        "keepNewerThan": st.integers(1, 12).map(lambda hours: f"{hours}h"),
        "keepPulledWithin": st.integers(1, 12).map(lambda hours: f"{hours}h"),
        "untaggedAfter": HOURS.map(lambda hours: f"{hours}h"),
        "dryRun": st.sampled_from([False, False, True]),
    },
)
PUSH = st.fixed_dictionaries(
    {
        "repo": st.sampled_from([REPO, OTHER]),
        "image": st.integers(0, 3),
        "list": st.booleans(),
        "about": st.none() | st.integers(0, 3),
        "tags": st.lists(NAMES, max_size=3),
        "pulled": st.sampled_from([False, False, True]),
        "hours": st.integers(0, 3),
    }
)


async def perform(world: World, core: Any, step: Mapping[str, Any]) -> None:
    """Push something, maybe as the only child of an index, with some tags; maybe pull it."""
    repo, config = step["repo"], str(step["image"]).encode()
    await push_blob(core, config, repo)
    about = step["about"]
    content = image(config, subject=None if about is None else image(str(about).encode()))
    await put(core, content, repo=repo)
    if step["list"]:
        content = index(content)
    signed = f"sha256-{Digest.of(image(b'1')).encoded}.sig"
    names = [signed if name == "signature" else name for name in step["tags"]]
    digest = await put(core, content, *names, repo=repo)
    if step["pulled"]:
        core.pulls.note(repo, digest)
    world.clock.forward(HOUR * step["hours"])


def seen(connection: Connection) -> tuple[list[Row], set[tuple[str, str]]]:
    """All tags, newest first, and all manifests that have a row."""
    rows = connection.execute(
        "SELECT r.name AS repo, t.name, t.manifest_digest AS digest, t.updated_at,"
        " m.last_pulled_at, (SELECT MAX(c.last_pulled_at) FROM manifest_child e"
        " JOIN manifest c ON c.repo_id = e.repo_id AND c.digest = e.child_digest"
        " WHERE e.repo_id = t.repo_id AND e.parent_digest = t.manifest_digest) AS below"
        " FROM tag t JOIN repository r ON r.id = t.repo_id JOIN manifest m"
        " ON m.repo_id = t.repo_id AND m.digest = t.manifest_digest"
        " ORDER BY t.updated_at DESC, t.name DESC"
    )
    there = connection.execute(
        "SELECT r.name, m.digest FROM manifest m JOIN repository r ON r.id = m.repo_id"
    )
    return rows, {(row["name"], row["digest"]) for row in there}


async def expected(core: Any, rule: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The tags that go, worked out from the rows in the plainest way."""
    criteria = {"keepTags", "keepLast", "keepNewerThan", "keepPulledWithin"} & rule.keys()
    if not criteria - ({"keepTags"} if not rule.get("keepTags") else set()):
        return set()
    await core.pulls.flush()
    now = core.database.now()
    rows, there = await core.database.read(seen)
    gone: set[tuple[str, str]] = set()
    rank = {REPO.value: 0, OTHER.value: 0}
    for row in rows:
        globs = (glob.replace("*", ".*") for glob in rule.get("keepTags", ()))
        if any(re.fullmatch(glob, row["name"]) for glob in globs):
            continue
        subject = row["name"].replace("-", ":").removesuffix(".sig")
        if (row["repo"], subject) in there and subject != row["digest"]:
            continue
        rank[row["repo"]] += 1
        if rank[row["repo"]] <= rule.get("keepLast", 0):
            continue
        if now - row["updated_at"] < hours(rule.get("keepNewerThan")):
            continue
        pulled = max(row["last_pulled_at"] or 0, row["below"] or 0)
        if now - pulled <= hours(rule.get("keepPulledWithin")):
            continue
        gone.add((row["repo"], row["name"]))
    return gone


def hours(text: str | None) -> int:
    return -1 if text is None else int(text[:-1]) * 3_600_000_000


async def check(world: World, rule: dict[str, Any], pushes: list[dict[str, Any]]) -> None:
    """Try a rule on what some pushes leave behind."""
    set_rules(world, {"keepPulledWithin": "1h", "repositories": ["counted/from/the/start"]}, rule)
    async with world.open() as core:
        world.clock.forward(HOUR * 20)
        for step in pushes:
            await perform(world, core, step)
        world.clock.forward(HOUR / 2)  # no decision hangs on a microsecond
        before = await tags(core, REPO), await tags(core, OTHER)
        going = await expected(core, rule)
        dry = await collect(core, dry_run=True)
        said = await core.collector.report(dry.id, after=0, limit=1000)
        assert (await tags(core, REPO), await tags(core, OTHER)) == before
        done = await report(core)
        run = await core.collector.last()
        after = await tags(core, REPO), await tags(core, OTHER)
    assert run is not None
    assert run.state is RunState.SUCCEEDED
    assert said == done
    found = {(line.repository, line.reference) for line in said if line.kind == "tag"}
    assert found == going
    if rule.get("dryRun"):
        assert after == before
        return
    deleted = {(REPO.value, tag) for tag in before[0] - after[0]}
    deleted |= {(OTHER.value, tag) for tag in before[1] - after[1]}
    assert deleted >= going
    assert all(name.startswith("sha256-") for _, name in deleted - going)  # with their subjects
    assert (dry.tags_deleted, dry.untagged_deleted) == (run.tags_deleted, run.untagged_deleted)
    assert (dry.manifests_deleted, dry.blobs_deleted) == (run.manifests_deleted, run.blobs_deleted)
    assert dry.bytes_reclaimed == run.bytes_reclaimed
    assert dry.bytes_reclaimable == run.bytes_reclaimed + run.bytes_reclaimable


PUSHES = st.lists(PUSH, max_size=12)
WINDOWS = st.sampled_from([timedelta(0), timedelta(hours=5)])


@given(rule=RULES, pushes=PUSHES, window=WINDOWS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_dry_run_lists_what_the_run_then_deletes(
    rule: dict[str, Any], pushes: list[dict[str, Any]], window: timedelta
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        policy = Policy(push_lease=HOUR, undelete_window=window)
        world = World(Path(folder) / "data", policy=policy)
        asyncio.run(check(world, rule, pushes))
