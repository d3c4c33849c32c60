# SPDX-License-Identifier: Apache-2.0
"""Idle means silent: what is asked of the API server while nothing happens, by its audit log."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from support.operators import Place
from support.played import PlayedServer, is_ready, operator, run_pods, until

# All that remains: the Lease, and watches that end and begin anew. In three periods of the resync
# nobody's turn comes for a look as a whole, which is every twelfth.
REMAINING = {"get leases", "update leases"}
RESYNC = 4.0  # seconds


def asked(place: Place, since: int) -> Counter[str]:
    """What operators have asked for since so many lines of the audit log, but for watches."""
    lines = [*place.api.audit("cais-operator"), *place.api.audit("kopf")]
    lines = [one for one in lines if one["verb"] != "watch"]
    lines.sort(key=lambda one: one["stageTimestamp"])
    return Counter(
        f"{one['verb']} {(one.get('objectRef') or {}).get('resource', one['requestURI'])}"
        for one in lines[since:]
    )


async def test_an_idle_operator_asks_nothing_and_writes_nothing(place: Place) -> None:
    server = PlayedServer(place=place)
    async with operator(place, server, resync=RESYNC):
        await asyncio.to_thread(place.create_registry)
        await asyncio.to_thread(place.create_registry, None, "waiting")  # for a pod, all the time
        await asyncio.to_thread(place.wait_complete)
        await asyncio.to_thread(run_pods, place)
        await until(lambda: is_ready(place), "Ready")
        await until(lambda: place.condition("Ready", "waiting"), "the other one's status")
        seen = server.count
        await until(lambda: server.count > seen + 1, "a turn at which nothing is new")
        since, seen = sum(asked(place, 0).values()), server.count
        await until(lambda: server.count > seen + 2, "three more turns")
        assert set(asked(place, since)) <= REMAINING


async def test_who_rests_is_looked_at_when_anything_changes(place: Place) -> None:
    server = PlayedServer(place=place)
    async with operator(place, server, resync=3600):  # nobody waits that long
        await asyncio.to_thread(place.create_registry)
        await asyncio.to_thread(place.wait_complete)
        await asyncio.to_thread(run_pods, place)
        await until(lambda: is_ready(place), "Ready")
        config = place.get("ConfigMap", "team-config")
        change = {"data": {"server.yaml": "{}"}}
        await asyncio.to_thread(place.api.merge, place.path("ConfigMap", "team-config"), change)

        def is_back() -> bool:
            live = place.get("ConfigMap", "team-config")
            assert config is not None
            return live is not None and live["data"] == config["data"]

        await until(is_back, "an edited child is back")
        schedule = {"spec": {"garbageCollection": {"schedule": "7 7 7 * *"}}}
        await asyncio.to_thread(place.api.merge, place.path("Registry", "team"), schedule)

        def follows() -> bool:
            live = place.get("CronJob", "team-gc") or {}
            return bool(live["spec"]["schedule"] == "7 7 7 * *")

        await until(follows, "the CronJob follows an edit")
        waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no image"}}}
        await asyncio.to_thread(_pod_waits, place, waiting)
        said = "the reason of its pod is told"
        await until(lambda: "no image" in place.condition("Ready").get("message", ""), said)


def _pod_waits(place: Place, status: Mapping[str, object]) -> None:
    """A Deployment without a pod that runs, and the pod that does not."""
    deployment = place.path("Deployment", "team") + "/status"
    gone = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 0, "availableReplicas": 0}
    place.api.merge(deployment, {"status": gone})
    template = (place.get("Deployment", "team") or {})["spec"]["template"]["metadata"]["labels"]
    pods = f"/api/v1/namespaces/{place.team}/pods"
    container = {"name": "registry", "image": "x"}
    body = {
        "metadata": {"name": "team-0", "labels": template},
        "spec": {"containers": [container]},
    }
    place.api.request("POST", pods, body)
    ready = {**container, "imageID": "", "ready": False, "restartCount": 0, **status}
    place.api.merge(f"{pods}/team-0/status", {"status": {"containerStatuses": [ready]}})
