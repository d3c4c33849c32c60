# SPDX-License-Identifier: Apache-2.0
"""What the server does not do: syncs, questions and hashing where none is needed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from obstore.store import MemoryStore

from cais_registry.http.gate import Gate
from cais_registry.model.digest import Digest
from cais_registry.model.limits import Limits
from cais_registry.services.access import OPEN
from cais_registry.services.core import Core
from cais_registry.stores import sqlite, sqlite_database
from cais_registry.stores.blobstore import MakeStore
from cais_registry.stores.bucket import Bucket
from cais_registry.stores.commits import Commits
from cais_registry.stores.object_store import ObjectStore
from cais_registry.stores.sqlite import SqliteConnection
from core_support import REPO, World, begin_upload, chunk, push_blob, push_image
from support.in_process import Sent, opened
from support.syncs import watch_syncs

if TYPE_CHECKING:
    from hashlib import _Hash

Push: TypeAlias = Callable[[Core], Awaitable[None]]
LAYER = b"layer" * 100_000
VERSION = "PRAGMA data_version"
STORES: dict[str, MakeStore | None] = {
    "files": None,
    "objects": lambda pool: ObjectStore(Bucket(MemoryStore()), pool),
}


async def in_one_request(core: Core) -> None:
    await push_blob(core, LAYER)


async def in_chunks(core: Core) -> None:
    ref = await begin_upload(core)
    for half in (LAYER[:1000], LAYER[1000:]):
        await core.uploads.append(ref, chunk(half))
    await core.uploads.finish(ref, Digest.of(LAYER))


@pytest.mark.parametrize("push", [in_one_request, in_chunks])
async def test_bytes_that_are_stored_already_are_not_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, push: Push
) -> None:
    async with World(tmp_path).open() as core:
        synced = watch_syncs(monkeypatch)
        await push(core)
        assert "blobs" in folders_of(synced, tmp_path)
        synced.clear()
        await push(core)
        assert folders_of(synced, tmp_path) == set()


def folders_of(synced: list[Path], data: Path) -> set[str]:
    """Which of the folders with bytes were synced, or anything in them."""
    found = {path.relative_to(data).parts[0] for path in synced if data in path.parents}
    return found & {"blobs", "uploads"}


async def test_what_was_read_before_costs_no_query_but_that_for_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []

    def connect(path: Path, commits: Commits | None = None) -> SqliteConnection:
        connection = sqlite.connect(path, commits)
        connection.raw.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite_database, "connect", connect)
    async with World(tmp_path).open() as core:
        manifest = Digest.of(await push_image(core, "config", "v1", layers=[LAYER]))
    gate = Gate(OPEN, verifier=None, realm=None)
    async with opened(tmp_path, gate, Limits()) as client:
        for target in ("manifests/v1", f"manifests/{manifest}", f"blobs/{Digest.of(LAYER)}"):
            for method in ("GET", "HEAD"):
                sent = Sent(method=method, target=f"/v2/{REPO}/{target}")
                for _ in range(2):  # who may push is told so: the first may renew a promise
                    assert (await client.ask(sent)).status == 200
                assert set(statements) > {VERSION}
                before = len(statements)
                assert (await client.ask(sent)).status == 200
                assert statements[before:] == [VERSION], sent


class Watched:
    """A hash that tells which threads it computes in."""

    def __init__(self, real: _Hash, threads: set[int]) -> None:
        self._real, self._threads = real, threads

    def update(self, data: bytes) -> None:
        self._threads.add(threading.get_ident())
        self._real.update(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("push", [in_one_request, in_chunks])
@pytest.mark.parametrize("place", ["files", "objects"])
async def test_bodies_are_hashed_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, push: Push, place: str
) -> None:
    threads: set[int] = set()
    real = hashlib.new
    async with World(tmp_path, store=STORES[place]).open() as core:
        with monkeypatch.context() as patch:
            patch.setattr(hashlib, "new", lambda *a, **more: Watched(real(*a, **more), threads))
            await push(core)
        assert threads
        assert threading.get_ident() not in threads
