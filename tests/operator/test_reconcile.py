# SPDX-License-Identifier: Apache-2.0
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from cais_operator import errors, names, pki
from cais_operator.cluster import Children
from cais_operator.observed import ServerState
from cais_operator.reconcile import Reconciler
from cais_operator.report import events
from cais_operator.resource import Key
from operator_builders import NOW, SETTINGS, body, registry, with_users, with_volume
from support.fake_cluster import Crash, FakeCluster


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hash costs is not the question here."""
    monkeypatch.setattr(pki, "_ROUNDS", 4)


KEY = Key("team-a", "team")
USAGE = {
    "repositories": 0,
    "tags": 0,
    "bytes": 0,
    "bytesReclaimable": 0,
    "disk": {"capacity": 1 << 30, "available": 1 << 29},
}


@dataclass(slots=True)
class StubServer:
    """A registry server that has loaded what it was told."""

    files: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def state(self, *, host: str, ca: str, password: str) -> ServerState:
        assert ca.startswith("-----BEGIN CERTIFICATE-----")
        assert password
        self.asked.append(host)
        return ServerState(files=self.files, usage=USAGE, gc={"last": None})


@dataclass(slots=True)
class Bench:
    """A cluster, a server, and an operator that can be started anew."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    server: StubServer = field(default_factory=StubServer)

    def operator(self) -> Reconciler:
        return Reconciler(
            cluster=self.cluster,
            children=Children(),
            server=self.server,
            settings=SETTINGS,
            now=lambda: NOW,
        )

    async def settle(self) -> None:
        operator = self.operator()
        for _ in range(3):
            await operator.reconcile(KEY)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.objects[names.KIND, "team-a", "team"]["status"]
        return found

    def condition(self, kind: str) -> dict[str, Any]:
        return next((one for one in self.status()["conditions"] if one["type"] == kind), {})

    def text(self, secret: str, key: str = "password", namespace: str = "team-a") -> str:
        data = self.cluster.objects["Secret", namespace, secret]["data"]
        return base64.b64decode(data[key]).decode()

    def run_pods(self) -> None:
        """What the controllers and the kubelet would do."""
        claim = {"phase": "Bound", "capacity": {"storage": "10Gi"}}
        self.cluster.change("PersistentVolumeClaim", "team-data", status=claim)
        deployment = self.cluster.objects["Deployment", "team-a", "team"]
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "availableReplicas": 1,
            "updatedReplicas": 1,
        }
        self.cluster.change("Deployment", "team", status=status)


def bench(spec: Mapping[str, Any] | None = None) -> Bench:
    made = Bench()
    made.cluster.put({**body(spec), "apiVersion": names.API_VERSION, "kind": names.KIND})
    return made


EVERYTHING = {
    ("Service", "team"),
    ("NetworkPolicy", "team"),
    ("NetworkPolicy", "team.gc"),
    ("ServiceAccount", "team"),
    ("ConfigMap", "team-config"),
    ("ConfigMap", "team-ca"),
    ("PersistentVolumeClaim", "team-data"),
    ("Deployment", "team"),
    ("CronJob", "team-gc"),
    ("Secret", "team-tls"),
    ("Secret", "team-admin"),
    ("Secret", "team-gc"),
    ("Secret", "team-pull"),
    ("Secret", "team-users"),
}


def children(made: Bench) -> set[tuple[str, str]]:
    skipped = (names.KIND, "Event")
    return {
        (kind, name)
        for kind, namespace, name in made.cluster.objects
        if namespace == "team-a" and kind not in skipped
    }


async def test_a_new_registry_gets_every_child_and_a_status() -> None:
    made = bench()
    await made.operator().reconcile(KEY)
    assert children(made) == EVERYTHING
    assert made.condition("Ready")["status"] == "False"
    assert made.status()["clusterIP"] == "10.96.0.7"


async def test_a_look_at_what_is_settled_writes_nothing() -> None:
    made = bench(with_users({"name": "ci"}))
    await made.settle()
    made.cluster.requests.clear()
    for operator in (made.operator(), made.operator()):  # also after a restart
        await operator.reconcile(KEY)
    assert made.cluster.writes == []


async def test_it_is_ready_when_pod_claim_certificate_and_loaded_files_are() -> None:
    made = bench()
    await made.settle()
    made.run_pods()
    await made.operator().reconcile(KEY)
    assert made.condition("Ready")["reason"] == "ConfigurationLoading"
    made.server.files = wanted_files(made)
    outcome = await made.operator().reconcile(KEY)
    assert made.condition("Ready")["status"] == "True"
    assert set(made.server.asked) == {"10.96.0.7"}
    assert outcome.after is not None
    assert outcome.after > 0.5 * SETTINGS.resync


def wanted_files(made: Bench) -> dict[str, str]:
    from cais_operator import desired  # noqa: PLC0415 - only here

    objects = made.cluster.objects
    secrets = (objects["Secret", "team-a", name] for name in ("team-users", "team-tls"))
    return desired.loaded_files(objects["ConfigMap", "team-a", "team-config"], *secrets)


async def test_a_server_that_lags_has_its_pod_touched_once_for_the_same_files() -> None:
    made = bench()
    await made.settle()
    made.run_pods()
    labels = names.selector(registry(), names.REGISTRY)
    made.cluster.put({"kind": "Pod", "metadata": {"name": "team-0", "labels": labels}})
    made.cluster.requests.clear()
    for _ in range(2):
        await made.operator().reconcile(KEY)
    assert [one for one in made.cluster.writes if one[1] == "Pod"] == [("patch", "Pod", "team-0")]


@pytest.mark.parametrize(("kind", "name"), sorted(EVERYTHING))
async def test_a_deleted_child_comes_back(kind: str, name: str) -> None:
    made = bench()
    await made.settle()
    del made.cluster.objects[kind, "team-a", name]
    await made.settle()
    assert children(made) == EVERYTHING


async def test_passwords_keys_and_certificates_stay_over_looks_and_restarts() -> None:
    made = bench(with_users({"name": "ci"}))
    await made.settle()
    before = {key: one["data"] for key, one in made.cluster.objects.items() if key[0] == "Secret"}
    for _ in range(3):
        await made.settle()
    after = {key: one["data"] for key, one in made.cluster.objects.items() if key[0] == "Secret"}
    assert after == before


async def test_a_password_that_was_set_by_hand_is_taken_and_its_hash_follows() -> None:
    made = bench()
    await made.settle()
    before = made.text("team-users", "htpasswd")
    data = {"password": base64.b64encode(b"mine").decode()}
    made.cluster.change("Secret", "team-gc", data=data)
    await made.settle()
    assert made.text("team-gc") == "mine"
    assert made.text("team-gc", "credentials") == "cais-gc:mine"
    assert made.text("team-users", "htpasswd") != before


async def test_a_child_of_someone_else_is_left_alone_and_named_in_stalled() -> None:
    made = bench()
    made.cluster.put({"kind": "Secret", "metadata": {"name": "team-admin"}, "data": {"a": "Yg=="}})
    await made.operator().reconcile(KEY)
    assert "team-admin" in made.condition("Stalled")["message"]
    assert [kind for _, kind, _ in made.cluster.writes if kind not in ("Registry", "Event")] == []


async def test_a_paused_registry_is_looked_at_and_not_touched() -> None:
    made = bench({"paused": True})
    await made.operator().reconcile(KEY)
    assert {kind for _, kind, _ in made.cluster.writes} == {"Registry", "Event"}


async def test_a_registry_that_is_being_deleted_is_left_alone() -> None:
    made = bench()
    made.cluster.change(names.KIND, "team", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    outcome = await made.operator().reconcile(KEY)
    assert outcome.after is None
    assert made.cluster.writes == []


async def test_a_spec_that_cannot_be_read_is_stalled_with_field_value_and_rule() -> None:
    made = bench(with_volume(size="-1Gi"))
    await made.operator().reconcile(KEY)
    message = made.condition("Stalled")["message"]
    assert "spec.storage.volume.size" in message
    assert "-1Gi" in message
    assert "must be a quantity" in message


async def test_what_the_api_server_refuses_is_stalled_with_its_words() -> None:
    made = bench()

    def refuse(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("apply", "CronJob"):
            raise errors.Rejected(
                status=422, reason="Invalid", message="spec.timeZone: unknown", subject=name
            )

    made.cluster.before = refuse
    outcome = await made.operator().reconcile(KEY)
    assert "spec.timeZone: unknown" in made.condition("Stalled")["message"]
    assert outcome.after is not None


async def test_a_registry_deleted_in_mid_reconcile_leaves_only_its_data() -> None:
    made = bench()

    def delete_it(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("create", "Secret") and name == "team-tls":
            del made.cluster.objects[names.KIND, "team-a", "team"]

    made.cluster.after = delete_it
    await made.operator().reconcile(KEY)
    assert children(made) == {("PersistentVolumeClaim", "team-data")}


@pytest.mark.parametrize("verb", ["apply", "apply_status"])
async def test_a_child_brought_back_for_a_registry_that_goes_away_is_taken_back(verb: str) -> None:
    made = bench()
    await made.settle()
    del made.cluster.objects["CronJob", "team-a", "team-gc"]
    if verb == "apply_status":  # there must be something to tell
        made.cluster.change("PersistentVolumeClaim", "team-data", status={"phase": "Bound"})

    def delete_it(now: str, kind: str, name: str) -> None:
        if now == verb and (kind, name) in {("CronJob", "team-gc"), (names.KIND, "team")}:
            del made.cluster.objects[names.KIND, "team-a", "team"]

    if verb == "apply":
        made.cluster.after = delete_it
    else:
        made.cluster.before = delete_it
    await made.operator().reconcile(KEY)
    assert ("CronJob", "team-gc") not in children(made)
    assert ("PersistentVolumeClaim", "team-data") in children(made)


async def test_a_lost_race_on_the_status_takes_nothing_back() -> None:
    made = bench()

    def lose(verb: str, kind: str, name: str) -> None:
        if verb == "apply_status":
            raise errors.Conflict(f"{kind} {name} was changed meanwhile")

    made.cluster.before = lose
    with pytest.raises(errors.Conflict):
        await made.operator().reconcile(KEY)
    assert children(made) == EVERYTHING


async def test_of_two_that_make_the_ca_the_first_one_counts() -> None:
    made = bench()
    other = Bench(cluster=FakeCluster())
    other.cluster.put({**body(), "apiVersion": names.API_VERSION, "kind": names.KIND})
    await other.settle()
    theirs = other.cluster.objects["Secret", "cais-system", "cais-ca"]

    def overtake(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("create", "Secret", "cais-ca"):
            made.cluster.put(theirs)

    made.cluster.before = overtake
    await made.operator().reconcile(KEY)
    assert made.text("cais-ca", "ca.crt", "cais-system") == made.text("team-tls", "ca.crt")
    assert made.cluster.objects["Secret", "cais-system", "cais-ca"]["data"] == theirs["data"]


async def test_a_registry_recreated_in_mid_reconcile_keeps_no_child_of_the_old_one() -> None:
    made = bench()

    def recreate(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("create", "Secret", "team-tls"):
            made.cluster.change(names.KIND, "team", metadata={"uid": "another"})

    made.cluster.after = recreate
    await made.operator().reconcile(KEY)
    assert children(made) == {("PersistentVolumeClaim", "team-data")}
    await made.settle()
    assert children(made) == EVERYTHING


async def test_a_secret_that_changed_since_it_was_read_is_not_overwritten() -> None:
    made = bench()
    await made.settle()
    made.cluster.change("Secret", "team-admin", metadata={"labels": {}})

    def meddle(verb: str, kind: str, name: str) -> None:
        if (verb, kind, name) == ("replace", "Secret", "team-admin"):
            made.cluster.before = lambda *_: None
            made.cluster.change("Secret", "team-admin", metadata={"labels": {"other": "hand"}})

    made.cluster.before = meddle
    with pytest.raises(errors.Conflict):
        await made.operator().reconcile(KEY)


async def test_an_unusable_ca_is_never_replaced() -> None:
    made = bench()
    data = {key: base64.b64encode(b"x").decode() for key in ("tls.crt", "tls.key", "ca.crt")}
    metadata = {"name": "cais-ca", "namespace": "cais-system"}
    made.cluster.put({"kind": "Secret", "metadata": metadata, "data": data})
    await made.operator().reconcile(KEY)
    assert made.cluster.objects["Secret", "cais-system", "cais-ca"]["data"] == data
    assert "cais-system/cais-ca" in made.condition("Stalled")["message"]


async def test_killed_at_any_request_it_converges_with_one_ca_and_one_password() -> None:
    made = bench()
    await made.settle()
    steps = 2 * len(made.cluster.writes)
    assert steps > 20
    for step in range(steps):
        broken = bench()
        seen: dict[tuple[str, str], set[str]] = {}
        at = 0

        def watch(
            verb: str,
            kind: str,
            name: str,
            broken: Bench = broken,
            seen: dict[tuple[str, str], set[str]] = seen,
        ) -> None:
            del verb
            if kind == "Secret" and name != "team-users":
                place = "cais-system" if name == "cais-ca" else "team-a"
                data = broken.cluster.objects["Secret", place, name]["data"]
                seen.setdefault((kind, name), set()).add(json.dumps(data, sort_keys=True))

        def kill(verb: str, kind: str, name: str, stop: int = step) -> None:
            nonlocal at
            if verb in {"get", "list"}:
                return
            at += 1
            if at == stop // 2 + 1:
                raise Crash(f"{verb} {kind} {name}")

        if step % 2:
            broken.cluster.before = kill
            broken.cluster.after = watch
        else:

            def both(verb: str, kind: str, name: str) -> None:
                watch(verb, kind, name)
                kill(verb, kind, name)

            broken.cluster.after = both
        with pytest.raises(Crash):
            await broken.settle()
        broken.cluster.before, broken.cluster.after = (lambda *_: None), watch
        await broken.settle()
        assert children(broken) == EVERYTHING
        assert all(len(versions) == 1 for versions in seen.values()), step


async def test_events_tell_each_change_of_a_reason_once() -> None:
    made = bench()
    await made.settle()
    await made.settle()
    events = [one for (kind, _, _), one in made.cluster.objects.items() if kind == "Event"]
    words = [(one["reason"], one["message"]) for one in events]
    assert len(words) == len(set(words)) > 0
    assert all(one["type"] == "Normal" for one in events)


def test_a_condition_that_stays_as_it_is_makes_no_event() -> None:
    stays = {"type": "Ready", "status": "True", "reason": "Serving", "message": "other words"}
    comes = {"type": "Stalled", "status": "True", "reason": "InvalidSpec", "message": "why"}
    before = {"conditions": [{**stays, "message": "words"}]}
    made = list(events(body(), before, {"conditions": [stays, comes]}, NOW))
    assert [(one["reason"], one["type"], one["message"]) for one in made] == [
        ("InvalidSpec", "Warning", "why")
    ]


async def test_no_secret_is_in_status_or_events() -> None:
    made = bench(with_users({"name": "ci"}))
    await made.settle()
    told = json.dumps(
        [one for (kind, _, _), one in made.cluster.objects.items() if kind in ("Event", "Registry")]
    )
    for secret in ("team-admin", "team-gc", "team-pull", "team-user-ci"):
        assert made.text(secret) not in told


async def test_a_service_whose_old_address_is_taken_gets_another() -> None:
    made = bench()
    await made.settle()
    del made.cluster.objects["Service", "team-a", "team"]
    asked: list[str | None] = []
    apply = made.cluster.apply

    async def taken(manifest: dict[str, Any]) -> dict[str, Any]:
        if manifest["kind"] == "Service":
            asked.append(manifest["spec"].get("clusterIP"))
            if len(asked) == 1:
                raise errors.Rejected(status=422, reason="Invalid", message="taken", subject="x")
        return await apply(manifest)

    made.cluster.apply = taken  # type: ignore[method-assign]
    await made.operator().reconcile(KEY)
    assert asked == ["10.96.0.7", None]
    assert "Stalled" not in {one["type"] for one in made.status()["conditions"]}
