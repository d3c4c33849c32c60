# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import threading
from typing import Any

import pytest

from cais_registry.app.draining import Draining
from cais_registry.app.succession import Succession
from cais_registry.app.supervisor import Supervisor


class Process:
    """A worker that no process can be made for, or one that there is."""

    def __init__(self, *, is_alive: bool) -> None:
        self.inner, self.pid = self, None
        self._is_alive = is_alive
        self.interrupt_by_parent = False

    def is_alive(self) -> bool:
        return self._is_alive

    def start(self) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


class Bare(Supervisor):
    """A supervisor with one worker, and without a server around it."""

    def __init__(self, worker: Any) -> None:
        self.wrks = [worker]
        self.respawned_wrks = {}
        self.interrupt_children = []
        self.main_loop_interrupt = threading.Event()
        self._pair = self._certificate = None
        self._succession = Succession(None, has_room=lambda: True, begin=lambda: None)
        self._draining = Draining()

    def _spawn_worker(self, *_: object) -> Any:
        return Process(is_alive=False)


def test_a_worker_goes_on_when_no_process_can_be_made_for_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    old: Any = Process(is_alive=True)
    bare = Bare(old)
    bare._respawn_workers([0], None, None)
    assert bare.wrks == [old]
    assert not bare.interrupt_children
    assert "cannot be started" in caplog.text
    assert "the one before goes on" in caplog.text


def test_the_server_ends_when_no_process_can_be_made_in_place_of_a_dead_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bare = Bare(Process(is_alive=False))
    bare._respawn_workers([0], None, None)
    assert bare.main_loop_interrupt.is_set()
    assert bare.interrupt_children == [0] == list(bare.respawned_wrks)
    assert "no worker can be started" in caplog.text
