# SPDX-License-Identifier: Apache-2.0
"""A server killed at any step keeps what it acknowledged, and the next one tidies up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import core_crash_child
from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestUnknown
from cais_registry.model.names import Tag
from cais_registry.services.core import Core
from core_support import HOUR, REPO, World, collect, count, image, push_image
from retention_support import set_rules, tags

CHILD = Path(core_crash_child.__file__)
STEPS = [
    ("U1", 3),
    ("U3.record", 2),
    ("U3.publish", 1),
    ("U3.publish", 4),
    ("U4", 1),
    ("U4", 5),
    ("U4.done", 2),
    ("M1", 2),
    ("M1.done", 3),
    ("review manifest", 4),
    ("review member", 4),
    ("review bytes", 4),
    ("janitor", 2),
    ("R1", 2),
    ("R1", 5),
    ("R2", 2),
    ("R2", 5),
    ("K1", 1),
    ("K1", 3),
    ("K2", 1),
    ("K2", 3),
    ("P1", 2),
    ("P1", 5),
]


def killed(data: Path, step: str, times: int) -> list[list[str]]:
    """Run the child until it dies; what it said."""
    path = os.pathsep.join([str(CHILD.parent), os.environ.get("PYTHONPATH", "")])
    child = subprocess.run(
        [sys.executable, str(CHILD), str(data), step, str(times)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert child.returncode == -signal.SIGKILL, f"{step} was not reached: {child.stderr}"
    return [line.split() for line in child.stdout.splitlines()]


def manifest(number: int) -> bytes:
    config = json.dumps({"name": f"image {number}"}).encode()
    return image(config, b"base", bytes(number))


async def pulls(core: Core, number: int) -> bool:
    """Whether an image can be pulled whole; half of it is never there."""
    try:
        found = await core.manifests.get(REPO, Tag(f"v{number}"))
    except ManifestUnknown:
        return False
    assert found.content == manifest(number)
    document = json.loads(found.content)
    for descriptor in [document["config"], *document["layers"]]:
        digest = Digest.parse(descriptor["digest"])
        blob = await core.blobs.open(REPO, digest)
        assert blob.content.fd is not None
        content = os.pread(blob.content.fd, blob.size + 1, 0)
        blob.content.close()
        assert Digest.of(content) == digest
    return True


@pytest.mark.parametrize(("step", "times"), STEPS)
async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, step: str, times: int) -> None:
    said = killed(tmp_path / "data", step, times)
    pushed = {int(words[1]) for words in said if words[0] == "pushed"}
    deleting = {int(words[1]) for words in said if words[0] == "deleting"}
    world = World(tmp_path / "data", policy=core_crash_child.POLICY)
    set_rules(world, core_crash_child.RULE)
    world.clock.forward(HOUR * 100)
    async with world.open() as core:
        for number in pushed - deleting:
            assert await pulls(core, number), f"image {number} is lost"
        before = await tags(core)
        await collect(core)
        assert await tags(core) == before  # whatever was pulled may have been counted and lost
        for number in pushed - deleting:
            assert await pulls(core, number), f"image {number} is lost after a collection"
        world.clock.forward(HOUR * 2)
        await collect(core)
        assert await count(core, "tag WHERE name LIKE 'old%'") == 0
        assert {f"v{number}" for number in pushed - deleting} <= await tags(core)
        await push_image(core, "after", "after")
        for tag in (await core.tags.list(REPO, limit=100)).items:
            await core.manifests.delete(REPO, Tag(tag))
        world.clock.forward(HOUR * 100)
        await collect(core)
        await collect(core)
        manifests = await count(core, "manifest")
        blobs = await count(core, "blob")
        assert await count(core, "upload") == 0
        assert await count(core, "tombstone") == 0
    left = world.files()
    assert not [name for name in left if name.startswith("uploads/")]
    assert len([name for name in left if name.startswith("blobs/")]) == blobs
    assert manifests == blobs == 0
