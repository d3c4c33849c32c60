# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal
import threading
from typing import Any

from cais_registry.app.relay import Relay
from support.registry import wait_until


def test_a_handler_in_the_midst_of_a_method_of_the_event_waits_for_nobody() -> None:
    event = threading.Event()
    relay = Relay(event)
    relay.start()
    before = signal.signal(signal.SIGUSR1, lambda *_: relay.ask())
    try:
        internals: Any = event
        with internals._cond:  # where the main thread is when the signal comes
            signal.raise_signal(signal.SIGUSR1)
        assert event.wait(30)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_the_last_wish_is_not_lost_when_the_event_is_cleared() -> None:
    event = threading.Event()
    relay = Relay(event)
    relay.start()
    relay.ask(is_final=True)
    for _ in range(3):
        wait_until(event.is_set, what="it is set again")
        event.clear()


def test_a_single_wish_sets_it_once() -> None:
    event = threading.Event()
    relay = Relay(event)
    relay.start()
    relay.ask()
    assert event.wait(30)
    event.clear()
    assert not event.wait(0.5)
    relay.ask()
    assert event.wait(30)
