# SPDX-License-Identifier: Apache-2.0
"""What GitOps tools see of a Registry at each stage of its life, and what their work costs it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from support.gitops_tools import verdicts
from support.operators import Place
from support.played import PlayedServer, is_ready, operator, run_pods, until

GIVEN = {"access": {"users": [{"name": "ci", "passwordSecretRef": {"name": "given"}}]}}
FULL = {"capacity": 1 << 30, "available": 1 << 20, "reserve": 50 << 20}
ROOMY = {"capacity": 1 << 30, "available": 1 << 29, "reserve": 50 << 20}


@dataclass(slots=True)
class Recorder:
    """Keeps an object as it is at a stage, with what the tools should say of it."""

    place: Place
    kind: str = "Registry"
    name: str = "team"
    objects: list[dict[str, Any]] = field(default_factory=list)
    expected: list[tuple[str, str, str, str]] = field(default_factory=list)

    def note(self, stage: str, kstatus: str, flux: str, argo: str) -> None:
        live = self.place.get(self.kind, self.name)
        assert live is not None
        self.objects.append(live)
        self.expected.append((stage, kstatus, flux, argo))

    def change(self, **spec: Any) -> None:
        self.place.api.merge(self.place.path(self.kind, self.name), {"spec": spec})

    async def until(self, condition: str, status: str, reason: str) -> None:
        def is_so() -> bool:
            live = self.place.get(self.kind, self.name) or {}
            conditions = (live.get("status") or {}).get("conditions") or ()
            found: dict[str, Any] = next(
                (one for one in conditions if one["type"] == condition), {}
            )
            return (found.get("status"), found.get("reason")) == (status, reason)

        await until(is_so, f"{condition} is {status}: {reason}")

    def delete(self) -> None:
        """Delete it; it is kept as it is while something holds it."""
        path = self.place.path(self.kind, self.name)
        self.place.api.merge(path, {"metadata": {"finalizers": ["example.com/hold"]}})
        self.place.delete(self.kind, self.name)
        live = self.place.get(self.kind, self.name)
        assert live is not None
        self.objects.append(live)
        self.place.api.merge(path, {"metadata": {"finalizers": None}})

    def check(self) -> None:
        """Have the tools judge all, the last one of which is being deleted."""
        found = verdicts(self.objects)
        assert found.pop().kstatus == "Terminating"
        told = [
            (stage, one.kstatus, one.flux, one.argo)
            for (stage, *_), one in zip(self.expected, found, strict=True)
        ]
        assert told == self.expected
        assert all(one.message for one in found)


async def test_the_tools_see_what_is_so_at_each_stage(place: Place) -> None:
    server, record = PlayedServer(place=place), Recorder(place)
    server.usage["disk"] = ROOMY
    place.create_registry()
    record.note("nobody has looked yet", "InProgress", "InProgress", "Progressing")
    async with operator(place, server, resync=1):
        await asyncio.to_thread(place.wait_complete)
        record.note("children, and no pod", "InProgress", "InProgress", "Progressing")
        run_pods(place)
        await until(lambda: is_ready(place), "Ready")
        record.note("ready", "Current", "Current", "Healthy")
        await _fail(record, server)
        await _change(record, server)
    record.change(quota="1Gi")
    record.note("changed while no operator is there", "InProgress", "InProgress", "Progressing")
    record.delete()
    record.check()


async def test_they_see_the_stages_of_a_registryaccess_too(place: Place) -> None:
    server, record = PlayedServer(place=place), Recorder(place, "RegistryAccess", "web")
    _ask(place)
    record.note("nobody has looked yet", "InProgress", "InProgress", "Progressing")
    async with operator(place, server, resync=1):
        await record.until("Reconciling", "True", "RegistryUnavailable")
        record.note("there is no such Registry", "InProgress", "InProgress", "Progressing")
        here = {"matchLabels": {"kubernetes.io/metadata.name": place.team}}
        allowed = {"namespaceSelector": here, "repositories": ["apps/**"], "actions": ["pull"]}
        place.create_registry({"consumers": [allowed]})
        await record.until("Reconciling", "True", "AccountPending")
        record.note("its server is not there yet", "InProgress", "InProgress", "Progressing")
        await asyncio.to_thread(place.wait_complete)
        run_pods(place)
        await record.until("Reconciling", "True", "ServiceAccountMissing")
        record.note("a ServiceAccount is missing", "InProgress", "InProgress", "Progressing")
        account = {"metadata": {"name": "builder"}}
        place.api.request("POST", place.path("ServiceAccount"), account)
        await record.until("Ready", "True", "Granted")
        record.note("granted", "Current", "Current", "Healthy")
        record.change(actions=["delete"])
        await record.until("Stalled", "True", "NotAllowed")
        record.note("more than is allowed", "Failed", "Failed", "Degraded")
        record.change(actions=["pull"])
        await record.until("Ready", "True", "Granted")
    record.change(secretName="other")
    record.note("changed while no operator is there", "InProgress", "InProgress", "Progressing")
    record.delete()
    record.check()


def _ask(place: Place) -> None:
    spec = {
        "registryRef": {"name": "team", "namespace": place.team},
        "repositories": ["apps/web"],
        "actions": ["pull"],
        "secretName": "registry",
        "serviceAccounts": ["builder"],
    }
    body = {"apiVersion": "cais.dev/v1alpha1", "kind": "RegistryAccess"}
    asked = {**body, "metadata": {"name": "web"}, "spec": spec}
    place.api.request("POST", place.path("RegistryAccess"), asked)


async def _fail(record: Recorder, server: PlayedServer) -> None:
    """What goes wrong by itself."""
    server.error = "connection reset"
    await record.until("ServerReady", "Unknown", "Unreachable")
    record.note("one request got lost", "Current", "Current", "Healthy")
    server.error = None
    await record.until("ServerReady", "True", "Serving")
    server.usage["disk"] = FULL
    await record.until("Ready", "False", "DiskFull")
    record.note("the disk is full", "InProgress", "Failed", "Degraded")
    server.usage["disk"] = ROOMY
    await record.until("Ready", "True", "Serving")


async def _change(record: Recorder, server: PlayedServer) -> None:
    """What people change."""
    record.change(**GIVEN)
    await record.until("Stalled", "True", "InvalidSpec")
    record.note("a Secret is missing", "Failed", "Failed", "Degraded")
    record.change(access=None)
    await record.until("Ready", "True", "Serving")
    server.lags = True
    record.change(readOnly=True)
    await record.until("Reconciling", "True", "ConfigurationLoading")
    record.note("the server has not loaded a change", "InProgress", "InProgress", "Progressing")
    record.change(paused=True)
    await until(lambda: "paused" in record.place.condition("Ready")["message"], "paused")
    record.note("paused half-way", "InProgress", "Failed", "Suspended")
    server.lags = False
    record.change(paused=False)
    await until(lambda: "paused" not in record.place.condition("Ready")["message"], "not paused")
    await record.until("Ready", "True", "Serving")
    record.change(paused=True)
    await until(lambda: "paused" in record.place.condition("Ready")["message"], "paused")
    record.note("paused and ready", "Current", "Current", "Healthy")
    record.change(paused=False, readOnly=None)
    await until(lambda: "paused" not in record.place.condition("Ready")["message"], "not paused")


async def test_the_same_manifests_applied_a_hundred_times_change_nothing(place: Place) -> None:
    server = PlayedServer(place=place)
    manifest = {
        "apiVersion": "cais.dev/v1alpha1",
        "kind": "Registry",
        "metadata": {"name": "team", "namespace": place.team, "labels": {"app": "images"}},
        "spec": {"access": {"users": [{"name": "ci"}]}, "readOnly": False},
    }
    path = place.path("Registry", "team")
    place.api.apply(path, manifest, manager="argocd-controller")
    async with operator(place, server, resync=1):
        await asyncio.to_thread(place.wait_complete)
        run_pods(place)
        await until(lambda: is_ready(place) and place.condition("Writable"), "Ready, and all told")
        seen = server.count
        await until(lambda: server.count > seen + 2, "it is looked at again")
        before, writes = _lived(place), len(place.writes())
        for manager in ("argocd-controller", "kustomize-controller") * 50:
            await asyncio.to_thread(place.api.apply, path, manifest, manager)
        seen = server.count
        await until(lambda: server.count > seen + 2, "it is looked at again")
        assert _lived(place) == before
        assert place.writes()[writes:] == []  # no status and no Event either


def _lived(place: Place) -> dict[str, Any]:
    """What a needless write, a restart or a new password would change."""
    secrets = {one["metadata"]["name"]: one.get("data") for one in place.all("Secret")}
    versions = {
        f"{kind}/{one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for kind in ("Deployment", "ConfigMap", "Service", "CronJob", "Secret")
        for one in place.all(kind)
    }
    return {"secrets": secrets, "versions": versions}
