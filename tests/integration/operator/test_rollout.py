# SPDX-License-Identifier: Apache-2.0
"""An upgrade of many servers against a real API server; controller and kubelets are played."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from cais_operator.app import App
from cais_operator.cluster import connect
from cais_operator.observed import ServerState
from cais_operator.registry_api import Way
from cais_operator.settings import Settings
from support.apiserver import free_port, wait_for
from support.operators import Place
from support.played import until

NAMES = tuple(f"r{at}" for at in range(8))
AT_ONCE = 2
OLD, NEW = "cais-registry:0.1.0", "cais-registry:0.1.1"
RESYNC = 2.0  # seconds


class SilentServer:
    """Answers, and has loaded nothing."""

    def __init__(self) -> None:
        self.asked = 0

    async def state(self, way: Way) -> ServerState:
        del way
        self.asked += 1
        return ServerState(version="0.1.0")

    async def collect(self, way: Way, *, dry_run: bool) -> str | None:
        return f"{way} {dry_run}"


@asynccontextmanager
async def operator(place: Place, image: str) -> AsyncIterator[SilentServer]:
    """Run an operator that is torn down in the middle of whatever it does."""
    settings = Settings(
        namespaces=(place.team,),
        kubeconfig=place.api.kubeconfig,
        system_namespace=place.system,
        health_listen=f"127.0.0.1:{free_port()}",
        registry_image=image,
        resync=RESYNC,
        rollout_max_concurrent=AT_ONCE,
        leader_elect=False,
    )
    server = SilentServer()
    app = App(settings, await connect(settings.kubeconfig), server)
    running = asyncio.create_task(app.run())
    try:
        yield server
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@dataclass(slots=True, kw_only=True)
class Kubelets:
    """Makes pods ready, and sees how many are not."""

    place: Place
    most: int = 0
    begun: dict[str, int] = field(default_factory=dict)

    def look(self) -> dict[str, list[str]]:
        """Names by where they are: old, restarting, new."""
        found: dict[str, list[str]] = {"old": [], "restarting": [], "new": []}
        for one in self.place.all("Deployment"):
            name, spec = one["metadata"]["name"], one["spec"]["template"]["spec"]
            seen = (one.get("status") or {}).get("observedGeneration", 0)
            if seen < one["metadata"]["generation"]:
                found["restarting"].append(name)
                self.begun[name] = one["metadata"]["generation"]
            else:
                found["new" if spec["containers"][0]["image"] == NEW else "old"].append(name)
        self.most = max(self.most, len(found["restarting"]))
        return found

    def start(self, name: str) -> None:
        live = self.place.get("Deployment", name)
        assert live is not None
        ready = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        status = {"observedGeneration": live["metadata"]["generation"], **dict.fromkeys(ready, 1)}
        self.place.api.merge(self.place.path("Deployment", name) + "/status", {"status": status})

    def work(self, news: int) -> bool:
        """Start one pod; tell whether so many servers are upgraded."""
        found = self.look()
        for name in found["restarting"][:1]:
            self.start(name)
        return len(found["new"]) >= news


def events(place: Place) -> Counter[tuple[str, str]]:
    return Counter(
        (one["involvedObject"]["name"], one["reason"])
        for one in place.all("Event")
        if one["reason"].startswith("Restart")
    )


def causes(place: Place) -> dict[str, str]:
    """What `kubectl rollout history` says."""
    found = {one["metadata"]["name"]: one["metadata"] for one in place.all("Deployment")}
    return {name: one["annotations"]["kubernetes.io/change-cause"] for name, one in found.items()}


async def wait_quiet(place: Place, server: SilentServer) -> None:
    """Until looks at all Registries write nothing."""

    def is_quiet() -> bool:
        before, asked = place.writes(), server.asked
        wait_for(lambda: server.asked >= asked + 2 * len(NAMES), "two more looks at each")
        return place.writes() == before

    await until(is_quiet, "looks that write nothing")


async def test_servers_restart_in_turn_across_operators_and_an_edit_waits_for_nobody(
    place: Place,
) -> None:
    kubelets = Kubelets(place=place)
    async with operator(place, OLD):
        for name in NAMES:
            await asyncio.to_thread(place.create_registry, name=name)
        await until(lambda: len(place.all("Deployment")) == len(NAMES), "all Deployments")
        for name in NAMES:
            await asyncio.to_thread(kubelets.start, name)
    async with operator(place, NEW):
        await until(lambda: len(kubelets.look()["restarting"]) == AT_ONCE, "the first turns")
        edited = kubelets.look()["old"][-1]
        change: dict[str, Any] = {"spec": {"pod": {"labels": {"example.com/team": "blue"}}}}
        await asyncio.to_thread(place.api.merge, place.path("Registry", edited), change)
        await until(lambda: edited in kubelets.look()["restarting"], "the edit is applied")
        await asyncio.to_thread(kubelets.start, edited)
        kubelets.most = 0
        await until(lambda: kubelets.work(news=4), "half are upgraded")
    async with operator(place, NEW) as server:  # another one goes on
        await until(lambda: kubelets.work(news=len(NAMES)), "all are upgraded")
        assert kubelets.most <= AT_ONCE
        assert set(kubelets.begun) == set(NAMES)
        await wait_quiet(place, server)
    upgrade = f"the server restarts for an upgrade: image {OLD} becomes {NEW}"
    asked = f"the server restarts, as the spec asks: image {OLD} becomes {NEW}"
    assert causes(place) == {name: asked if name == edited else upgrade for name in NAMES}
    wanted = {(name, "RestartForUpgrade") for name in NAMES if name != edited}
    told = events(place)  # an operator that ends between a restart and its Event tells it no more
    assert told.keys() <= wanted | {(edited, "RestartForSpec")}
    assert set(told.values()) == {1}
    assert len(told) >= len(NAMES) - 1
