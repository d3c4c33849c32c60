# SPDX-License-Identifier: Apache-2.0
"""A Registry in `team-a`, a RegistryAccess in `team-b`, an operator for both, on a fake cluster."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import bcrypt

from cais_operator import names
from cais_operator.access import AccessReconciler
from cais_operator.cluster import Children, Object
from cais_operator.consumers import Account, Directory, accounts
from cais_operator.reconcile import Reconciler
from cais_operator.resource import Key, Registry, RegistryAccess, parse, parse_access
from cais_operator.restarts import Restarts
from cais_operator.rotation import Turns
from cais_operator.settings import Settings
from operator_builders import SETTINGS, body, nobody_else
from support.operator_bench import KEY, Bench

ACCESS = Key("team-b", "web")
USER = "web@team-b"
ALLOWED = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "team-b"}},
    "repositories": ["apps/**"],
    "actions": ["pull", "push"],
}
_MARKED = (names.ACCESS_KIND, "ServiceAccount")


def access_body(
    *,
    name: str = "web",
    namespace: str = "team-b",
    uid: str = "uid-of-web",
    generation: int = 1,
    status: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A RegistryAccess as the API server returns it."""
    asked = {
        "registryRef": {"name": "team", "namespace": "team-a"},
        "repositories": ["apps/web/**"],
        "actions": ["pull"],
        "secretName": "registry",
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.ACCESS_KIND,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "generation": generation,
        },
        "spec": asked | spec,
        "status": dict(status or {}),
    }


def access(**spec: Any) -> RegistryAccess:
    return parse_access(access_body(**spec))


@dataclass(slots=True)
class AccessBench(Bench):
    """The registry's side and the consumer's side; every `settle` is an operator started anew."""

    labels: dict[str, Mapping[str, str]] = field(default_factory=dict)
    settings: Settings = SETTINGS

    def both(self) -> tuple[Reconciler, AccessReconciler]:
        """An operator that has seen everything there is, as its watches would have shown it."""
        children, directory = Children(), Directory()
        for (kind, _, _), live in self.cluster.objects.items():
            if kind == names.ACCESS_KIND:
                directory.take(live)
            if (live["metadata"].get("labels") or {}).get(names.MANAGED_BY) == names.MANAGER:
                children.put(live)
        for namespace, labels in self.labels.items():
            directory.relabel(namespace, labels)
        registry = Reconciler(
            turns=Turns(),
            restarts=Restarts(children, self.settings, lambda _: None),
            cluster=self.cluster,
            children=children,
            directory=directory,
            server=self.server,
            settings=self.settings,
            take=nobody_else,
            now=lambda: self.now,
        )
        consumer = AccessReconciler(
            cluster=self.cluster,
            children=children,
            directory=directory,
            settings=self.settings,
            take=nobody_else,
            now=lambda: self.now,
        )
        return registry, consumer

    async def turn(self, *keys: Key) -> None:
        """One look at the Registry, then one at each access, those that are gone as well."""
        registry, _ = self.both()
        await registry.reconcile(KEY)
        _, consumer = self.both()
        for key in keys or (ACCESS,):
            await consumer.reconcile(key)

    async def settle_both(self, *keys: Key) -> None:
        """As often as it takes, with a server that takes whatever it is given.

        An operator that has written nothing, and finds the same server, would write nothing again.
        """
        for _ in range(5):
            before = (len(self.cluster.writes), self.server.files)
            await self.turn(*keys)
            if ("Deployment", "team-a", "team") in self.cluster.objects:
                self.load()
            if (len(self.cluster.writes), self.server.files) == before:
                return

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    def put_access(self, **parts: Any) -> None:
        """Apply a RegistryAccess as its owner would; the status stays."""
        body = access_body(**parts)
        place = (names.ACCESS_KIND, body["metadata"]["namespace"], body["metadata"]["name"])
        before = self.cluster.objects.get(place)
        if before is not None:
            body["status"] = before["status"]
        self.cluster.put(body)

    def drop_access(self, name: str = "web") -> None:
        """Delete a RegistryAccess, and what it owns, as the garbage collector would."""
        gone = self.cluster.objects.pop((names.ACCESS_KIND, "team-b", name))
        for place, live in list(self.cluster.objects.items()):
            owners = live["metadata"].get("ownerReferences") or ()
            if any(one["uid"] == gone["metadata"]["uid"] for one in owners):
                del self.cluster.objects[place]

    def annotate(self, name: str, annotations: Mapping[str, str]) -> None:
        live = self.cluster.objects[names.ACCESS_KIND, "team-b", name]
        metadata = {**live["metadata"], "annotations": dict(annotations)}
        self.cluster.put({**live, "metadata": metadata})

    def annotations(self, name: str) -> Mapping[str, str]:
        found: Mapping[str, str] = self.cluster.objects[names.ACCESS_KIND, "team-b", name][
            "metadata"
        ].get("annotations", {})
        return found

    def put_puller(self, name: str, *pull: str, namespace: str = "team-b") -> None:
        self.cluster.put(
            {
                "kind": "ServiceAccount",
                "metadata": {"name": name, "namespace": namespace},
                "imagePullSecrets": [{"name": one} for one in pull],
            }
        )

    def pulls(self, name: str, namespace: str = "team-b") -> list[str]:
        """The pull Secrets of a ServiceAccount."""
        live = self.cluster.objects["ServiceAccount", namespace, name]
        return [one["name"] for one in live.get("imagePullSecrets") or ()]

    def secret(self, name: str = "registry", namespace: str = "team-b") -> Object | None:
        return self.cluster.objects.get(("Secret", namespace, name))

    def password(self, name: str = "registry") -> str:
        """What a pod of the consumer logs in with."""
        found: dict[str, Any] = json.loads(self.text(name, ".dockerconfigjson", "team-b"))
        login = found["auths"]["team.team-a.svc:5000"]
        assert login["username"] == self.text(name, "username", "team-b")
        password: str = login["password"]
        assert password == self.text(name, "password", "team-b")
        return password

    def account(self, user: str = USER) -> Account | None:
        return accounts.read(self.secret("team-access", "team-a")).get(user)

    def takes(self, password: str) -> bool:
        """Whether the server's file of users lets the account in with a password."""
        lines = self.text("team-users", "htpasswd").splitlines()
        hashes = [line.partition(":")[2] for line in lines if line.startswith(f"{USER}:")]
        return any(bcrypt.checkpw(password.encode(), one.encode()) for one in hashes)

    def users(self) -> list[str]:
        """Names in the server's file of users, one for each password."""
        lines = self.text("team-users", "htpasswd").splitlines()
        return [line.partition(":")[0] for line in lines]

    def rules(self) -> list[dict[str, Any]]:
        """The server's rules about consumers."""
        config = self.cluster.objects["ConfigMap", "team-a", "team-config"]
        found = json.loads(config["data"]["server.yaml"])["access"]["rules"]
        return [rule for rule in found if any("@" in user for user in rule["users"])]

    def said(self, kind: str = "Ready", key: Key = ACCESS) -> dict[str, Any]:
        """A condition of a RegistryAccess."""
        live = self.cluster.objects[names.ACCESS_KIND, key.namespace, key.name]
        conditions = live["status"].get("conditions") or ()
        return next((one for one in conditions if one["type"] == kind), {})


def access_bench(*consumers: Mapping[str, Any], **asked: Any) -> AccessBench:
    """A bench whose owner allows `consumers` (ALLOWED by default), with one RegistryAccess."""
    made = AccessBench()
    spec = {"consumers": [dict(one) for one in consumers or (ALLOWED,)]}
    made.cluster.put({**body(spec), "apiVersion": names.API_VERSION, "kind": names.KIND})
    made.put_access(**asked)
    return made


def allowing(*consumers: Mapping[str, Any]) -> Registry:
    return parse(body({"consumers": [dict(one) for one in consumers]}))
