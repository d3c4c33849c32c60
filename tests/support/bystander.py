# SPDX-License-Identifier: Apache-2.0
"""An ordinary client that goes on working while others misbehave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.registry import Server, wait_until


@dataclass
class Bystander:
    """What an ordinary client has seen.

    Attributes:
        rounds: How often it has pulled an image and pushed a layer.
        failure: The first thing that went wrong.
    """

    rounds: int = 0
    failure: BaseException | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def work(self, server: Server) -> None:
        """Pull and push until told to stop."""
        try:
            layer = b"layer of a bystander"
            server.push_image("bystander", "v1", layer)
            while not self._stop.is_set():
                assert server.ask("GET", "/v2/").status == 200
                manifest = server.ask("GET", "/v2/bystander/manifests/v1")
                assert manifest.status == 200
                digest = manifest.json["layers"][0]["digest"]
                assert server.ask("GET", f"/v2/bystander/blobs/{digest}").body == layer
                server.push_blob("bystander", b"round %d" % self.rounds)
                self.rounds += 1
        except BaseException as error:  # noqa: BLE001 - told by `check`
            self.failure = error

    def check(self) -> None:
        """Wait until it has done some more; nothing may have failed so far."""
        before = self.rounds

        def is_told() -> bool:
            return self.failure is not None or self.rounds > before + 1

        wait_until(is_told, what="a bystander is served")
        if self.failure is not None:
            raise AssertionError("a bystander was harmed") from self.failure

    def stop(self) -> None:
        """End after the round that goes on."""
        self._stop.set()


@contextmanager
def unharmed(server: Server, most: int) -> Iterator[None]:
    """A bystander works all the time, and the server never takes more than so many bytes."""
    with bystander(server):
        server.forget_most_memory()
        before = server.memory()
        yield
        taken = server.most_memory() - before
    assert taken < most, f"{taken >> 20} MiB of memory were taken"


@contextmanager
def bystander(server: Server) -> Iterator[Bystander]:
    """Let an ordinary client work beside; at the end nothing of it may have failed."""
    one = Bystander()
    thread = threading.Thread(target=one.work, args=(server,), daemon=True)
    thread.start()
    try:
        one.check()
        yield one
        one.check()
    finally:
        one.stop()
        thread.join()
