# SPDX-License-Identifier: Apache-2.0
"""An operator before the definitions of its kinds are there."""

import asyncio
import os
import signal

import pytest

from cais_operator import definitions
from cais_operator.errors import NotFound
from cais_operator.settings import Settings
from support.fake_cluster import FakeCluster

SETTINGS = Settings()


def _unknown(cluster: FakeCluster) -> asyncio.Event:
    """Answers that there is no such kind; the event says that it was asked for."""
    asked = asyncio.Event()

    def judge(verb: str, kind: str, _: str) -> None:
        asked.set()
        raise NotFound(f"{verb} {kind}")

    cluster.before = judge
    return asked


async def test_it_goes_on_when_both_kinds_are_known() -> None:
    cluster = FakeCluster()
    assert await definitions.served(cluster, SETTINGS, asyncio.Event())
    assert [kind for _, kind, _ in cluster.requests] == ["Registry", "RegistryAccess"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_wait(number: signal.Signals) -> None:
    cluster = FakeCluster()
    asked = _unknown(cluster)
    waiting = asyncio.create_task(definitions.served(cluster, SETTINGS, asyncio.Event()))
    await asked.wait()
    os.kill(os.getpid(), number)
    assert not await asyncio.wait_for(waiting, 60)


async def test_one_that_was_told_to_stop_before_does_not_begin() -> None:
    stop = asyncio.Event()
    stop.set()
    assert not await definitions.served(FakeCluster(), SETTINGS, stop)
