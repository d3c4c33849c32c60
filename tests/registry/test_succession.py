# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from cais_registry.app import succession
from cais_registry.app.certificates import Pair
from cais_registry.app.succession import LAST_SECONDS, Readiness, Succession, ends_soon
from support.issuing import issuer, key_pem, new_key

END = 1_900_000_000.0


def pair(name: str = "a", end: float = END) -> Pair:
    key = new_key()
    signed = issuer().sign(key, name, end=datetime.fromtimestamp(end, UTC))
    return Pair(certificate=signed.encode(), key=key_pem(key).encode())


@pytest.mark.parametrize(("left", "is_soon"), [(LAST_SECONDS, False), (LAST_SECONDS - 1, True)])
def test_a_certificate_has_to_be_replaced_in_its_last_five_minutes(
    left: float, *, is_soon: bool
) -> None:
    assert LAST_SECONDS == 5 * 60
    assert ends_soon(pair(), END - left) is is_soon
    assert ends_soon(pair(), END + 1000)
    assert not ends_soon(None, END)


class Played:
    """A succession, and what it was asked for."""

    def __init__(self, served: Pair | None) -> None:
        self.has_room, self.begun = True, 0
        self.becomes: Callable[[], Pair | None] = lambda: served
        self.succession = Succession(served, has_room=lambda: self.has_room, begin=self._begin)

    def _begin(self) -> None:
        self.begun += 1
        self.succession.end(self.becomes())


FIRST, SECOND, THIRD = pair("a"), pair("b"), pair("c")


def test_a_new_certificate_is_taken_once() -> None:
    played = Played(FIRST)
    played.succession.look(FIRST)
    assert played.begun == 0
    played.becomes = lambda: SECOND
    for _ in range(3):
        played.succession.look(SECOND)
    assert played.begun == 1
    played.has_room, played.becomes = False, lambda: THIRD
    played.succession.look(THIRD)
    played.has_room = True
    played.succession.look(THIRD)  # a success puts nothing off
    assert played.begun == 2


def test_it_waits_for_room_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    played = Played(FIRST)
    played.has_room, played.becomes = False, lambda: SECOND
    for _ in range(3):
        played.succession.look(SECOND)
    assert played.begun == 0
    assert len(caplog.messages) == 1
    played.has_room = True
    played.succession.look(SECOND)
    assert played.begun == 1


def test_it_waits_for_nobody_when_the_present_one_ends_soon() -> None:
    played = Played(pair(end=time.time() + LAST_SECONDS - 10))
    played.has_room = False
    played.succession.look(SECOND)
    assert played.begun == 1


def test_after_a_failure_it_is_tried_again_later_and_at_once_when_asked_to() -> None:
    played = Played(FIRST)
    for _ in range(3):
        played.succession.look(SECOND)
    assert played.begun == 1
    played.succession.hurry()
    played.succession.look(SECOND)
    assert played.begun == 2
    played.succession.look(THIRD)  # another one may be better
    assert played.begun == 3


def test_nobody_who_answers_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(succession, "READY_SECONDS", 0.01)
    monkeypatch.setattr(succession, "_SLACK_SECONDS", 0.01)
    begun = threading.Event()
    deaf = Succession(FIRST, has_room=lambda: True, begin=begun.set)
    with caplog.at_level(logging.ERROR):
        deaf.look(SECOND)
    assert begun.is_set()
    assert "no new worker was started within" in caplog.text
    assert deaf.served == FIRST


@contextmanager
def child(readiness: Readiness, act: Callable[[Readiness], None]) -> Iterator[None]:
    """A forked process that does something with the pipe, and then nothing any more."""

    def run() -> None:
        act(readiness)
        signal.pause()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()
        readiness.close()


def nothing(readiness: Readiness) -> None:
    """Hold the pipe open."""


@pytest.mark.parametrize(
    ("act", "seconds", "is_stopped", "problem"),
    [
        (Readiness.tell, 30, False, None),
        (lambda _: os._exit(1), 30, False, "it ended before it was ready"),
        (nothing, 0.05, False, "it was not ready within 0.05 s"),
        (nothing, 30, True, None),
    ],
)
def test_a_worker_is_waited_for_until_it_serves_ends_or_is_late(
    act: Callable[[Readiness], None],
    seconds: float,
    problem: str | None,
    *,
    is_stopped: bool,
) -> None:
    readiness = Readiness()
    with child(readiness, act):
        assert readiness.problem(seconds, is_stopped=lambda: is_stopped) == problem


def test_telling_a_parent_that_has_given_up_harms_nobody() -> None:
    readiness = Readiness()
    readiness._reader.close()
    readiness.tell()
