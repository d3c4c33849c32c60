# SPDX-License-Identifier: Apache-2.0
"""The whole operator against a real API server, with real TLS servers and clients."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from cais_operator import names
from cais_operator.app import App
from cais_operator.certificates import is_signed_by
from cais_operator.cluster import connect
from cais_operator.handshake import TlsHandshake
from cais_operator.settings import Settings
from support.apiserver import free_port, wait_for
from support.operators import Place
from support.tls_world import Clients, Mounted, SilentApi

REGISTRIES = ("one", "two", "three")
OVERLAP = timedelta(seconds=6)
TOLD = {"AuthorityRotationStarted", "AuthorityRotationReplacing", "AuthorityRotated"}
KEEP = 4.0  # seconds; well within the overlap


@asynccontextmanager
async def operator(place: Place, servers: list[Mounted]) -> AsyncIterator[None]:
    settings = Settings(
        namespaces=(place.team,),
        kubeconfig=place.api.kubeconfig,
        system_namespace=place.system,
        health_listen=f"127.0.0.1:{free_port()}",
        ca_overlap=OVERLAP,
    )

    def address(host: str) -> tuple[str, int]:
        return "127.0.0.1", next(one.port for one in servers if one.cluster_ip == host)

    app = App(settings, await connect(settings.kubeconfig), SilentApi(), TlsHandshake(address))
    running = asyncio.create_task(app.run())
    try:
        yield
    finally:
        app.stop()
        assert await running == 0


@pytest.fixture
def servers(place: Place, tmp_path: Path) -> Iterator[list[Mounted]]:
    found = [Mounted(name=name, place=place, folder=tmp_path / name) for name in REGISTRIES]
    yield found
    for one in found:
        if one.server is not None:
            one.server.stop()


def run_pod(place: Place, name: str) -> None:
    deployment = place.get("Deployment", name)
    assert deployment is not None
    status = {
        "observedGeneration": deployment["metadata"]["generation"],
        **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1),
    }
    place.api.merge(place.path("Deployment", name) + "/status", {"status": status})


async def set_up(place: Place, servers: list[Mounted]) -> None:
    for name in REGISTRIES:
        place.create_registry(name=name)

    def is_made() -> bool:
        return all(place.get("Deployment", name) for name in REGISTRIES)

    await asyncio.to_thread(wait_for, is_made, "all children")
    for server in servers:
        await asyncio.to_thread(server.start)
        run_pod(place, server.name)


def ask_for_rotation(place: Place) -> None:
    path = place.path("Secret", names.AUTHORITY_SECRET, place.system)
    place.api.merge(path, {"metadata": {"annotations": {names.ROTATE: "now"}}})


def note(place: Place, name: str = names.ROTATION) -> str:
    live = place.get("Secret", names.AUTHORITY_SECRET, place.system) or {}
    return str((live["metadata"].get("annotations") or {}).get(name, ""))


def authority(place: Place, key: str = "tls.crt") -> str:
    data = (place.get("Secret", names.AUTHORITY_SECRET, place.system) or {})["data"]
    return base64.b64decode(data.get(key, "")).decode()


def told(place: Place) -> set[str]:
    events = place.api.request("GET", place.path("Event", namespace=place.system))["items"]
    return {one["reason"] for one in events}


async def until(what: Callable[[], object], words: str) -> None:
    await asyncio.to_thread(wait_for, what, words)


async def asked(servers: list[Mounted], trusted: str) -> list[bool]:
    """Whether a client that trusts this alone gets an answer of each."""
    return [await asyncio.to_thread(one.ask, trusted) is None for one in servers]


async def test_no_request_fails_while_the_ca_is_replaced_and_the_operator_restarted(
    place: Place, servers: list[Mounted]
) -> None:
    clients = Clients(servers=servers, keep=KEEP)
    async with operator(place, servers):
        await set_up(place, servers)
    old = authority(place)
    with clients.asking():
        async with operator(place, servers):
            ask_for_rotation(place)
            await until(lambda: "everywhere; certificates change" in note(place), "published")
            new = authority(place, "next.crt")
            assert await asked(servers, old) == [True, True, True]
            assert await asked(servers, new) == [False, False, False]
            servers[2].is_behind = True
            await until(lambda: authority(place) == new, "the new CA signs")
            await until(lambda: "AuthorityRotationReplacing" in told(place), "it was said")
        async with operator(place, servers):  # another process goes on
            await one_server_is_behind(place, servers)
            assert await asked(servers, new) == [True, True, False]
            assert clients.failures == []
            assert all(old in one.bundle() for one in servers)
            servers[2].is_behind = False
            await until(lambda: "everywhere; the old CA" in note(place), "all serve it")
            assert await asked(servers, new) == [True, True, True]
            assert await asked(servers, old) == [False, False, False]
            await until(lambda: not authority(place, "previous.crt"), "the old CA is dropped")
            await until(lambda: all(one.bundle() == new for one in servers), "everywhere")
            done = clients.count
            await until(lambda: clients.count > done + 50, "more requests")
    assert clients.failures == []
    assert clients.count > 100
    assert told(place) >= TOLD


async def one_server_is_behind(place: Place, servers: list[Mounted]) -> None:
    """Until it is waited for, and for longer than the overlap."""
    await until(lambda: "waiting for 1:" in note(place), "one server is behind")
    over = time.monotonic() + 2 * OVERLAP.total_seconds()
    await until(lambda: time.monotonic() > over, "the overlap is over")
    assert f"/{servers[2].name} (its server does not serve the new" in note(place)


async def test_a_renewed_leaf_is_served_and_no_request_fails(
    place: Place, servers: list[Mounted]
) -> None:
    clients = Clients(servers=servers, keep=KEEP)
    async with operator(place, servers):
        await set_up(place, servers)
        before = place.secret("one-tls", "tls.crt")
        with clients.asking():
            place.delete("Secret", "one-tls")
            await until(lambda: place.get("Secret", "one-tls"), "it is there again")
            folder = servers[0].folder / "tls.crt"
            await until(lambda: folder.read_text() != before, "it is mounted")
            done = clients.count
            await until(lambda: clients.count > done + 50, "more requests")
    assert clients.failures == []
    assert is_signed_by(place.secret("one-tls", "tls.crt"), authority(place))
