# SPDX-License-Identifier: Apache-2.0
import asyncio
import json
from typing import Any

from cais_operator import names
from support.operators import Place
from support.played import PlayedServer, is_ready, operator, run_pods, until

STAMP = "2026-01-02T03:04:05Z"


async def settle(place: Place) -> None:
    place.create_registry()
    await asyncio.to_thread(place.wait_complete)
    run_pods(place)


async def test_a_ready_registry_is_looked_at_and_nothing_is_written(place: Place) -> None:
    server = PlayedServer(place=place)
    async with operator(place, server, resync=3600):
        await settle(place)
        await until(lambda: is_ready(place), "Ready")
        await until(lambda: place.condition("Writable"), "Writable")
        await asyncio.to_thread(place.wait_looked_again, 1)
        written = len(place.writes())
        await asyncio.to_thread(place.wait_looked_again, 3)
        assert place.writes()[written:] == []


async def test_limits_reach_the_server_without_a_restart_and_leave_ready_alone(
    place: Place,
) -> None:
    server = PlayedServer(place=place)
    rule = {"repositories": ["**"], "tags": ["v*"]}

    def change(**spec: Any) -> None:
        place.api.merge(place.path("Registry", "team"), {"spec": spec})

    def is_said(reason: str) -> bool:
        return bool(place.condition("Writable").get("reason") == reason)

    async with operator(place, server, resync=1):
        await settle(place)
        await until(lambda: is_said("Writable"), "Writable")
        pods = (place.get("Deployment", "team") or {})["spec"]
        change(quota="2048Ki", readOnly=True, immutableTags=[rule])
        await until(lambda: is_said("ReadOnly"), "read-only")
        config = json.loads((place.get("ConfigMap", "team-config") or {})["data"]["server.yaml"])
        limits = (config["quota"], config["readOnly"], config["immutableTags"])
        assert limits == (2 << 20, True, [rule])
        await until(lambda: is_ready(place), "Ready")
        server.usage = {**server.usage, "quota": {"used": 2 << 20, "limit": 2 << 20}}
        change(readOnly=False)
        await until(lambda: is_said("QuotaExceeded"), "the quota is used up")
        assert is_ready(place)
        live = place.get("Registry", "team") or {}
        assert live["status"]["quota"]["limit"] == "2Mi"
        assert (place.get("Deployment", "team") or {})["spec"] == pods


async def test_a_server_that_lags_has_its_pod_touched_and_is_not_ready(place: Place) -> None:
    server = PlayedServer(place=place, lags=True)
    labels = {
        "app.kubernetes.io/name": "cais-registry",
        names.INSTANCE: "team",
        names.COMPONENT: names.REGISTRY,
    }
    pod = {
        "metadata": {"name": "team-0", "labels": labels},
        "spec": {"containers": [{"name": "x", "image": "x"}]},
    }
    path = f"/api/v1/namespaces/{place.team}/pods"
    place.api.request("POST", path, pod)
    async with operator(place, server, resync=300):
        await settle(place)

        def touched() -> bool:
            live = place.api.request("GET", f"{path}/team-0")
            return names.NUDGE in (live["metadata"].get("annotations") or {})

        def is_loading() -> bool:
            return bool(place.condition("Ready").get("reason") == "ConfigurationLoading")

        await until(touched, "the pod is touched")
        await until(is_loading, "the status, which is written after that, says so")
        assert not is_ready(place)
        server.lags = False
        await until(lambda: is_ready(place), "Ready")


async def test_a_finished_garbage_collection_shows_in_status_at_once(place: Place) -> None:
    server = PlayedServer(place=place)
    async with operator(place, server, resync=3600):  # nobody waits that long
        await settle(place)
        await until(lambda: is_ready(place), "Ready")
        server.usage = {**server.usage, "bytes": 1 << 10}
        server.last = {
            "id": "1",
            "state": "Succeeded",
            "startedAt": STAMP,
            "finishedAt": STAMP,
            "durationSeconds": 1.5,
            "blobsDeleted": 3,
            "bytesReclaimed": 4096,
            "message": "",
        }
        cron = place.get("CronJob", "team-gc")
        assert cron is not None
        template = cron["spec"]["jobTemplate"]
        job = {"metadata": {"name": "team-gc-1", **template["metadata"]}, "spec": template["spec"]}
        jobs = f"/apis/batch/v1/namespaces/{place.team}/jobs"
        place.api.request("POST", jobs, job)

        def told() -> bool:
            status = (place.get("Registry", "team") or {})["status"]
            collected = status.get("garbageCollection", {}).get("lastSuccessTime")
            return bool(collected == STAMP and status["usage"]["bytes"] == 1 << 10)

        await until(told, "the status tells of the run")
        assert place.condition("GarbageCollected")["status"] == "True"


async def test_an_annotation_starts_a_garbage_collection_once(place: Place) -> None:
    server = PlayedServer(place=place)
    async with operator(place, server, resync=3600):
        await settle(place)
        await until(lambda: is_ready(place), "Ready")
        path = place.path(names.KIND, "team")
        place.api.merge(path, {"metadata": {"annotations": {names.COLLECT: "now"}}})

        def served() -> bool:
            live = place.get(names.KIND, "team") or {}
            collected = place.condition("GarbageCollected").get("message") == "deleted 7 blobs"
            return collected and names.COLLECT not in live["metadata"].get("annotations", {})

        await until(served, "the annotation is served and gone")
