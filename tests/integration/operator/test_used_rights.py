# SPDX-License-Identifier: Apache-2.0
"""The chart gives the operator the rights that it uses: none is missing, and none is spare.

What is used is what the API server's audit log has of a life of Registries from beginning to end.
A right that no step of it needs has to go, or to get its step here.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

import chart
from cais_operator import names
from cais_operator.node_trust.entries import FILE, decode
from support.apiserver import api_server
from support.crd_storage_cases import bucket, volume
from support.foreign_kinds import FOREIGN_KINDS
from support.operators import Place, define_kinds
from support.played import PlayedServer, is_ready, operator, run_pods, until
from support.recorded import Right, granted, unused
from support.rights import SYSTEM, USER, apply_roles, refused, user_of

CONTROLLERS = ("garbage-collector-controller", "namespace-controller")
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TEAM = "team-a"
ISSUED = {"users": [{"name": "ci"}, {"name": "given", "passwordSecretRef": {"name": "given"}}]}

EDGE = {"parentRefs": [{"name": "edge", "namespace": "gateways"}]}
HERE = {"matchLabels": {"kubernetes.io/metadata.name": TEAM}}
CONSUMERS = [{"namespaceSelector": HERE, "repositories": ["**"], "actions": ["pull"]}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where the life is played.

    Attributes:
        place: The Registry's namespace and the operator's.
        roles: What the chart grants, by kind and namespace.
        kubeconfig: Of the operator's ServiceAccount.
        more: Other namespaces that the operator looks after; None for all.
    """

    place: Place
    roles: dict[tuple[str, str], set[Right]]
    kubeconfig: Path
    more: tuple[str, ...] | None

    def events(self) -> list[dict[str, Any]]:
        return [one for one in self.place.api.audit() if one["user"]["username"] == USER]

    def spare(self, kind: str, namespace: str) -> list[str]:
        """What a role grants and nobody has used; in its own namespace, if it has one."""
        seen = [one for one in self.events() if _place(one) == namespace or not namespace]
        return [str(right) for right in unused(self.roles[kind, namespace], seen)]


def _place(event: dict[str, Any]) -> str:
    return str((event.get("objectRef") or {}).get("namespace", ""))


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    named: bool = request.param
    values = ["--set", f"watchNamespaces={{{TEAM}}}"] if named else []
    documents = [one for one in yaml.safe_load_all(chart.template(values)) if one]
    api_folder, own = tmp_path / "api", tmp_path / "operator"
    api_folder.mkdir()
    own.mkdir()
    with api_server(api_folder, controllers=CONTROLLERS) as api:
        define_kinds(api)
        for definition in FOREIGN_KINDS:
            api.request("POST", DEFINITIONS, definition)
        for name in (TEAM, SYSTEM):
            api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        apply_roles(api, documents)
        yield Stage(
            place=Place(api=api, team=TEAM, system=SYSTEM),
            roles=_operators(documents),
            kubeconfig=user_of(api, own),
            more=() if named else None,
        )


def _operators(documents: list[dict[str, Any]]) -> dict[tuple[str, str], set[Right]]:
    """Rights of the operator's own roles, not of those that are given to people."""
    return {
        (one["kind"], one["metadata"].get("namespace", "")): granted(one)
        for one in documents
        if one["kind"] in ("Role", "ClusterRole") and "operator" in one["metadata"]["name"]
    }


@pytest.mark.parametrize("stage", [False], indirect=True)
async def test_the_cluster_role_grants_what_a_life_of_registries_uses(stage: Stage) -> None:
    await live(stage, "ClusterRole", "")
    told = stage.place.get("ConfigMap", names.NODES_CONFIG_MAP, SYSTEM)
    assert told is not None
    known = {entry.name: entry for entry in decode(told["data"][FILE])}
    assert {"team", "asked"} <= known.keys()
    (address,) = known["team"].addresses
    assert address.startswith("10.96.")
    assert "BEGIN CERTIFICATE" in known["team"].authority
    assert refused(stage.place.api) == []
    assert stage.spare("ClusterRole", "") == []


@pytest.mark.parametrize("stage", [True], indirect=True)
async def test_roles_of_named_namespaces_are_enough_and_none_of_their_rights_is_spare(
    stage: Stage,
) -> None:
    await live(stage, "Role", TEAM)
    assert refused(stage.place.api) == []
    assert stage.spare("Role", TEAM) == []
    assert stage.spare("Role", SYSTEM) == []
    everywhere = [one for one in stage.events() if (one.get("objectRef") or {}) and not _place(one)]
    assert everywhere == []


async def live(stage: Stage, kind: str, namespace: str) -> None:
    """Play a life: what makes the operator use each of its rights, step by step."""
    place, api = stage.place, stage.place.api
    server = PlayedServer(place=place, lags=True)
    given = {"metadata": {"name": "given"}, "stringData": {"password": "one-of-mine"}}
    api.request("POST", place.path("Secret"), given)
    api.request("POST", f"/api/v1/namespaces/{TEAM}/pods", _pod())
    node_trust = SYSTEM if stage.more is None else ""
    async with operator(
        place,
        server,
        resync=1,
        more=stage.more,
        kubeconfig=stage.kubeconfig,
        node_trust=node_trust,
        role="cais-operator",
    ):
        await _in_thread(place.create_registry, {"access": ISSUED, "consumers": CONSUMERS})
        await _in_thread(place.wait_complete)
        await _in_thread(run_pods, place)
        await until(lambda: _is_touched(place), "the pod of a server that lags is touched")
        server.lags = False
        await until(lambda: is_ready(place), "Ready")
        await _asked_for_a_collection(place)
        await _repaired(place)
        await _run_again(place)
        await _access_given(place)
        await _asked_of_cert_manager(place)
        await _led_from_outside(place)
        await _kept_in_a_bucket(place)
        await _ca_replaced(place)
        await _taken_back(stage, kind, namespace)


async def _repaired(place: Place) -> None:
    """Children that somebody deleted or edited."""
    await _in_thread(place.delete, "Deployment", "team")
    await until(lambda: place.get("Deployment", "team"), "the Deployment is back")
    await _in_thread(
        place.api.merge, place.path("Secret", "team-pull"), {"data": {"username": "eA=="}}
    )
    await until(lambda: place.secret("team-pull", "username") == "pull", "the pull Secret")


async def _run_again(place: Place) -> None:
    """What the controllers do for a new Deployment."""
    await _in_thread(run_pods, place)
    await until(lambda: is_ready(place), "Ready again")


async def _asked_for_a_collection(place: Place) -> None:
    path = place.path(names.KIND, "team")
    await _in_thread(place.api.merge, path, {"metadata": {"annotations": {names.COLLECT: "now"}}})

    def served() -> bool:
        live = place.get(names.KIND, "team") or {}
        return names.COLLECT not in live["metadata"].get("annotations", {})

    await until(served, "the annotation is served")


async def _access_given(place: Place) -> None:
    """A RegistryAccess, in the one namespace that a named operator has; rotated when asked."""
    path = place.path("RegistryAccess", "web")
    body = {
        "apiVersion": names.API_VERSION,
        "kind": "RegistryAccess",
        "metadata": {"name": "web"},
        "spec": {
            "registryRef": {"name": "team", "namespace": TEAM},
            "repositories": ["**"],
            "actions": ["pull"],
            "secretName": "web",
            "serviceAccounts": ["builder"],
        },
    }
    await _in_thread(place.api.request, "POST", path.rpartition("/")[0], body)
    builder = {"metadata": {"name": "builder"}}
    await _in_thread(place.api.request, "POST", place.path("ServiceAccount"), builder)

    def is_granted() -> bool:
        conditions = (place.get("RegistryAccess", "web") or {}).get("status", {}).get("conditions")
        return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions or ())

    await until(is_granted, "the access is granted")
    rotate = {"metadata": {"annotations": {names.ROTATE: "now"}}}
    await _in_thread(place.api.merge, path, rotate)

    def served() -> bool:
        live = place.get("RegistryAccess", "web") or {}
        return names.ROTATE not in live["metadata"].get("annotations", {})

    await until(served, "the rotation is begun")


async def _asked_of_cert_manager(place: Place) -> None:
    """A Certificate that is applied, and taken back when it is not asked for any more."""
    certificate = f"/apis/cert-manager.io/v1/namespaces/{TEAM}/certificates/asked-certificate"
    spec = {"tls": {"certManager": {"issuerRef": {"name": "someone"}}}}
    await _in_thread(place.create_registry, spec, "asked")
    await until(lambda: place.api.find(certificate), "the Certificate")
    path = place.path(names.KIND, "asked")
    await _in_thread(place.api.merge, path, {"spec": {"tls": {"certManager": None}}})
    await until(lambda: place.api.find(certificate) is None, "the Certificate is taken back")


async def _led_from_outside(place: Place) -> None:
    """Each way in from outside, one after the other, and none at the end."""
    path = place.path(names.KIND, "outside")
    ways: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
        "Ingress": ({}, ("Ingress",)),
        "Gateway": ({"gateway": EDGE}, ("HTTPRoute", "BackendTLSPolicy")),
        "ClusterIP": ({"gateway": None}, ()),
    }
    spec = {"expose": {"type": "ClusterIP", "hostnames": ["outside.example.com"]}}
    await _in_thread(place.create_registry, spec, "outside")
    for way, (more, kinds) in ways.items():
        await _in_thread(place.api.merge, path, {"spec": {"expose": {"type": way, **more}}})
        await until(partial(_is_led_by, place, set(kinds)), f"{way} leads to it")


async def _kept_in_a_bucket(place: Place) -> None:
    """Servers over a bucket and a database, of which there can be several."""
    await _in_thread(place.give_backend)
    await _in_thread(place.create_registry, bucket(), "bucket")
    await until(lambda: place.get("PodDisruptionBudget", "bucket"), "it may be disrupted")


def _is_led_by(place: Place, kinds: set[str]) -> bool:
    every = ("Ingress", "HTTPRoute", "BackendTLSPolicy")
    return {kind for kind in every if place.get(kind, "outside")} == kinds


async def _ca_replaced(place: Place) -> None:
    """A rotation of the CA that is begun: how it ends is the matter of other tests."""
    path = place.path("Secret", names.AUTHORITY_SECRET, SYSTEM)
    await _in_thread(place.api.merge, path, {"metadata": {"annotations": {names.ROTATE: "now"}}})
    await until(lambda: "next.crt" in place.api.request("GET", path)["data"], "the next CA")


async def _taken_back(stage: Stage, kind: str, namespace: str) -> None:
    """Registries that go away while their children are made; their users make that take a while."""
    users = {"access": {"users": [{"name": f"user-{number}"} for number in range(16)]}}
    place = stage.place

    def is_done() -> bool:
        return not any(one.startswith("delete") for one in stage.spare(kind, namespace))

    for spec in (volume(onDelete="Delete"), bucket()) * 5:  # until each kind was taken back once
        if not is_done():
            await _in_thread(place.create_registry, {**spec, **users}, "gone")
            await until(lambda: place.get("Service", "gone"), "the first child")
            await _in_thread(place.delete, names.KIND, "gone")
            await until(lambda: place.get("Service", "gone") is None, "it is taken back")
    await until(is_done, "children of every kind are taken back")


def _pod() -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/name": "cais-registry",
        names.INSTANCE: "team",
        names.COMPONENT: names.REGISTRY,
    }
    spec = {"containers": [{"name": "x", "image": "x"}]}
    return {"metadata": {"name": "team-0", "labels": labels}, "spec": spec}


def _is_touched(place: Place) -> bool:
    live = place.api.request("GET", f"/api/v1/namespaces/{TEAM}/pods/team-0")
    return names.NUDGE in (live["metadata"].get("annotations") or {})


async def _in_thread(act: Callable[..., Any], *arguments: Any) -> Any:
    """The operator lives in this loop: nothing may hold it up."""
    return await asyncio.to_thread(act, *arguments)
