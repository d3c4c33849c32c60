# SPDX-License-Identifier: Apache-2.0
"""Pushes, deletes and collects until it is killed, by itself, at a step it was given.

python core_crash_child.py DATA STEP COUNT: kills itself the COUNT-th time STEP is about to be done.
Says on standard output what was acknowledged, once that is so.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from cais_registry.model.digest import Digest
from cais_registry.model.names import Tag
from cais_registry.model.policy import Policy
from cais_registry.services.core import Core
from cais_registry.services.uploads import UploadRef
from core_support import HOUR, REPO, Clock, World, chunk, collect, push_image
from retention_support import set_rules

ROUNDS = 6
RULE = {"keepTags": ["v*"], "keepPulledWithin": "90m", "untaggedAfter": "90m"}
POLICY = Policy(push_lease=HOUR, undelete_window=timedelta(0), upload_ttl=2 * HOUR)


def say(*words: str) -> None:
    os.write(1, (" ".join(words) + "\n").encode())


async def stream(core: Core, content: bytes) -> None:
    """Push a blob in several requests: its digest is known only at the end."""
    status = await core.uploads.start(REPO, None)
    ref = UploadRef(repo=REPO, principal=None, id=status.id)
    await core.uploads.append(ref, chunk(content))
    await core.uploads.finish(ref, Digest.of(content))


async def work(core: Core, clock: Clock, first: int) -> None:
    for number in range(first, first + ROUNDS):
        say("begun", str(number))
        await stream(core, bytes(number))
        await push_image(core, f"image {number}", f"v{number}", layers=[b"base", bytes(number)])
        say("pushed", str(number))
        await push_image(core, f"other {number}", f"old{number}")
        await push_image(core, f"untagged {number}")
        core.pulls.note(REPO, Digest.of(b"not here"))
        status = await core.uploads.start(REPO, None)
        ref = UploadRef(repo=REPO, principal=None, id=status.id)
        await core.uploads.append(ref, chunk(b"never finished"))
        if number - 2 >= first:
            say("deleting", str(number - 2))
            await core.manifests.delete(REPO, Tag(f"v{number - 2}"))
        clock.forward(HOUR)
        await collect(core)


async def main(data: Path, step: str, count: int) -> None:
    seen = 0

    def failpoint(name: str) -> None:
        nonlocal seen
        seen += name == step
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)

    clock = Clock()
    world = World(data, clock=clock, policy=POLICY, failpoint=failpoint)
    set_rules(world, RULE)
    async with world.open() as core:
        await work(core, clock, 0)
    say("ended")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
