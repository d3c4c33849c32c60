# SPDX-License-Identifier: Apache-2.0
"""RegistryAccess against a real API server, with the rights of manifests/install.yaml and no more.

An API server of its own: the operator here looks after every namespace.
"""

import asyncio
import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cais_operator.consumers import accounts
from support.apiserver import ApiServer, api_server, wait_for
from support.operators import Place, define_kinds
from support.played import PlayedServer, is_ready, operator, run_pods, until
from support.rights import SYSTEM, grant, refused

CONTROLLERS = ("garbage-collector-controller", "namespace-controller")
NAMESPACES = "/api/v1/namespaces"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A namespace that asks, beside the place of the Registry."""

    place: Place
    namespace: str
    kubeconfig: Path

    def path(self, kind: str, name: str = "") -> str:
        return self.place.path(kind, name, self.namespace)

    def label(self, **labels: str | None) -> None:
        change = {"metadata": {"labels": labels}}
        self.place.api.merge(f"{NAMESPACES}/{self.namespace}", change)

    def ask(self, **spec: Any) -> None:
        asked = {
            "registryRef": {"name": "team", "namespace": self.place.team},
            "repositories": ["apps/web/**"],
            "actions": ["pull"],
            "secretName": "registry",
            "serviceAccounts": ["builder"],
        }
        body = {
            "apiVersion": "cais.dev/v1alpha1",
            "kind": "RegistryAccess",
            "metadata": {"name": "web"},
            "spec": asked | spec,
        }
        path = self.path("RegistryAccess")
        self.place.api.request("POST", f"{path}?fieldValidation=Strict", body)

    def said(self) -> dict[str, Any]:
        live = self.place.api.find(self.path("RegistryAccess", "web")) or {}
        conditions = (live.get("status") or {}).get("conditions") or ()
        return next((one for one in conditions if one["type"] == "Ready"), {})

    def is_granted(self) -> bool:
        return self.said().get("status") == "True"

    def password(self) -> str:
        """What a pod of this namespace logs in with."""
        secret = self.place.api.find(self.path("Secret", "registry"))
        if secret is None:
            return ""
        try:
            text = base64.b64decode(secret["data"][".dockerconfigjson"])
            auths: dict[str, Any] = json.loads(text)["auths"]
        except (KeyError, ValueError):
            return ""
        login = auths.get(f"team.{self.place.team}.svc:5000") or {}
        return str(login.get("password", ""))

    def pulls(self) -> list[str]:
        live = self.place.api.find(self.path("ServiceAccount", "builder")) or {}
        return [one["name"] for one in live.get("imagePullSecrets") or ()]

    def account(self) -> accounts.Account | None:
        secret = self.place.get("Secret", "team-access")
        return accounts.read(secret).get(f"web@{self.namespace}")

    def ends(self) -> list[bool]:
        """Which of the passwords have an end, the newest first."""
        account = self.account()
        return [one.until is not None for one in account.credentials] if account else []

    def rules(self) -> list[dict[str, Any]]:
        config = json.loads(
            (self.place.get("ConfigMap", "team-config") or {})["data"]["server.yaml"]
        )
        rules: list[dict[str, Any]] = config["access"]["rules"]
        return [one for one in rules if one["users"] == [f"web@{self.namespace}"]]

    def writes(self) -> int:
        """How often operators have written here or in the Registry's namespace."""
        return sum(
            one["verb"] in ("create", "update", "patch", "delete")
            and one["objectRef"].get("namespace") in (self.place.team, self.namespace)
            for one in self.place.api.audit("cais-operator")
        )


@pytest.fixture(scope="module")
def own_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, Path]]:
    folder = tmp_path_factory.mktemp("own-api")
    with api_server(folder, controllers=CONTROLLERS) as server:
        define_kinds(server)
        yield server, grant(server, tmp_path_factory.mktemp("operator"))


@pytest.fixture
def consumer(own_api: tuple[ApiServer, Path]) -> Iterator[Consumer]:
    api, kubeconfig = own_api
    number = next(_numbers)
    place = Place(api=api, team=f"owner-{number}", system=SYSTEM)
    found = Consumer(place=place, namespace=f"consumer-{number}", kubeconfig=kubeconfig)
    for name in (place.team, found.namespace):
        api.request("POST", NAMESPACES, {"metadata": {"name": name}})
    body = {"metadata": {"name": "builder"}, "imagePullSecrets": [{"name": "theirs"}]}
    api.request("POST", found.path("ServiceAccount"), body)
    yield found
    assert refused(api) == []
    for name in (place.team, found.namespace):
        api.request("DELETE", f"{NAMESPACES}/{name}")
    wait_for(lambda: place.get("Registry", "team") is None, "the Registry is gone")


def allowed(**selector: Any) -> dict[str, Any]:
    return {"namespaceSelector": selector, "repositories": ["apps/**"], "actions": ["pull", "push"]}


async def settle(consumer: Consumer, *consumers: dict[str, Any]) -> None:
    place = consumer.place
    place.create_registry({"consumers": list(consumers)})
    await asyncio.to_thread(place.wait_complete)
    run_pods(place)
    await until(lambda: is_ready(place), "Ready")


async def test_access_is_granted_repaired_withdrawn_and_granted_again(consumer: Consumer) -> None:
    place, api = consumer.place, consumer.place.api
    server = PlayedServer(place=place)
    async with operator(place, server, resync=3600, more=None, kubeconfig=consumer.kubeconfig):
        await settle(consumer, allowed(matchLabels={"tier": "web"}))
        consumer.ask()
        await until(lambda: consumer.said().get("reason") == "RegistryUnavailable", "not allowed")
        assert consumer.account() is None
        consumer.label(tier="web")
        await until(consumer.is_granted, "granted by a label")
        password = consumer.password()
        assert password
        assert consumer.rules()[0]["repositories"] == ["apps/web/**"]
        assert consumer.pulls() == ["theirs", "registry"]

        path = consumer.path("RegistryAccess", "web")
        api.merge(path, {"metadata": {"annotations": {"cais.dev/rotate": "now"}}})
        await until(lambda: consumer.password() not in {"", password}, "a rotation")
        password = consumer.password()
        await until(lambda: consumer.ends() == [False, True], "the old password gets its end")

        forged = base64.b64encode(place.secret("team-admin").encode()).decode()
        users = place.secret("team-users", "htpasswd")
        change = {"data": {"password": forged, ".dockerconfigjson": "e30="}}
        api.merge(consumer.path("Secret", "registry"), change)
        await until(lambda: consumer.password() == password, "an edited Secret is put right")
        api.request("DELETE", consumer.path("Secret", "registry"))
        await until(lambda: consumer.password() == password, "a deleted Secret is back")
        assert place.secret("team-users", "htpasswd") == users

        consumer.label(tier=None)
        await until(lambda: consumer.account() is None, "the account ends")
        await until(lambda: not consumer.rules(), "the rule ends")
        await until(lambda: consumer.said()["reason"] == "RegistryUnavailable", "it is told")
        consumer.label(tier="web")
        await until(lambda: consumer.password() not in {"", password}, "a new password")
        api.merge(place.path("Registry", "team"), {"spec": {"consumers": []}})
        await until(lambda: consumer.account() is None, "its owner withdraws it")


async def test_a_registryaccess_that_is_deleted_leaves_nothing(consumer: Consumer) -> None:
    place, api = consumer.place, consumer.place.api
    server = PlayedServer(place=place)
    mine = allowed(matchLabels={"kubernetes.io/metadata.name": consumer.namespace})
    async with operator(place, server, resync=3600, more=None, kubeconfig=consumer.kubeconfig):
        await settle(consumer, mine)
        consumer.ask()
        await until(consumer.is_granted, "granted")
        api.request("DELETE", consumer.path("RegistryAccess", "web"))
        await until(lambda: consumer.account() is None, "the account ends")
        await until(lambda: consumer.pulls() == ["theirs"], "the ServiceAccount is as it was")
        await until(lambda: not consumer.password(), "the Secret is collected")
        consumer.ask()
        await until(consumer.is_granted, "granted again")
    api.request("DELETE", consumer.path("RegistryAccess", "web"))  # while no operator runs
    assert consumer.account() is not None
    async with operator(place, server, resync=3600, more=None, kubeconfig=consumer.kubeconfig):
        await until(lambda: consumer.account() is None, "the account ends at the return")
        await until(lambda: consumer.pulls() == ["theirs"], "the ServiceAccount is as it was")
        await until(lambda: not consumer.rules(), "the rule ends")


async def test_what_is_settled_is_looked_at_and_nothing_is_written(consumer: Consumer) -> None:
    place, api = consumer.place, consumer.place.api
    server = PlayedServer(place=place)
    async with operator(place, server, resync=1, more=None, kubeconfig=consumer.kubeconfig):
        await settle(consumer, allowed())
        consumer.ask()
        await until(consumer.is_granted, "granted")

        def looks() -> int:
            path = consumer.path("RegistryAccess", "web")
            return sum(one["requestURI"] == path for one in api.audit("cais-operator"))

        start = looks()
        await until(lambda: looks() > start + 2, "it is looked at again")
        before, start = consumer.writes(), looks()
        await until(lambda: looks() > start + 5, "five more looks")
        assert consumer.writes() == before
        foreign = [
            one["requestURI"]
            for one in api.audit("cais-operator")
            if one["objectRef"]["resource"] == "secrets" and one["verb"] in ("list", "watch")
        ]
        assert foreign
        assert all("labelSelector=" in uri or "fieldSelector=" in uri for uri in foreign)


async def test_an_operator_of_named_namespaces_serves_them_by_name(consumer: Consumer) -> None:
    place, api = consumer.place, consumer.place.api
    server = PlayedServer(place=place)
    async with operator(place, server, resync=3600, more=(consumer.namespace,)):
        await settle(
            consumer, allowed(matchLabels={"kubernetes.io/metadata.name": consumer.namespace})
        )
        consumer.ask()
        await until(consumer.is_granted, "granted")
        other = {"spec": {"consumers": [allowed(matchLabels={"tier": "web"})]}}
        api.merge(place.path("Registry", "team"), other)
        await until(lambda: place.condition("Stalled"), "labels are refused")
        await until(lambda: consumer.account() is None, "the account ends all the same")
    assert "may not read the labels" in place.condition("Stalled")["message"]
