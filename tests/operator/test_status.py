# SPDX-License-Identifier: Apache-2.0
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from cais_operator import desired, status
from cais_operator.errors import Problem
from cais_operator.observed import Live, Observed, ServerState
from cais_operator.status import content
from operator_builders import NOW, SETTINGS, authority, body, leaf, registry, with_volume

WANTED = {"/etc/cais/config/server.yaml": "11", "/etc/cais/users/htpasswd": "22"}
USAGE = {
    "repositories": 2,
    "tags": 3,
    "bytes": 5_000_000,
    "bytesReclaimable": 1_000_000,
    "disk": {"capacity": 1 << 30, "available": 1 << 29},
}
RUN = {
    "state": "Succeeded",
    "startedAt": "2026-03-01T03:17:00.5Z",
    "finishedAt": "2026-03-01T03:17:02.9+00:00",
    "durationSeconds": 2.4321,
    "blobsDeleted": 4,
    "bytesReclaimed": 4096,
    "message": "",
}
FAILED = {**RUN, "state": "Failed", "message": "the disk went away"}
LEAF = leaf()
PROBLEM = Problem(field="spec.a", value="b", rule="must be c")

SERVICE = ("Service", "team")
DEPLOYMENT = ("Deployment", "team")
CLAIM = ("PersistentVolumeClaim", "team-data")
TLS = ("Secret", "team-tls")
CA = ("ConfigMap", "team-ca")


def _claim(phase: str = "Bound", capacity: str | None = "10Gi", **spec: Any) -> dict[str, Any]:
    made = desired.claim(registry(), SETTINGS, None)
    assert made is not None
    return {
        **made,
        "spec": {**made["spec"], **spec},
        "status": {"phase": phase, "capacity": {"storage": capacity} if capacity else {}},
    }


def _deployment(generation: int = 1, observed: int = 1, available: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"generation": generation},
        "status": {
            "observedGeneration": observed,
            "updatedReplicas": 1,
            "availableReplicas": available,
        },
    }


def _children(**change: Live | None) -> dict[tuple[str, str], Live]:
    team = registry()
    found: dict[tuple[str, str], Live | None] = {
        SERVICE: {"spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 5000}]}},
        DEPLOYMENT: _deployment(),
        CLAIM: _claim(),
        TLS: desired.tls_secret(team, SETTINGS, LEAF, authority()),
        CA: desired.ca_config_map(team, SETTINGS, authority()),
    }
    keys = {"service": SERVICE, "deployment": DEPLOYMENT, "claim": CLAIM, "tls": TLS, "ca": CA}
    found |= {keys[name]: live for name, live in change.items()}
    return {key: live for key, live in found.items() if live is not None}


def _server(**change: Any) -> ServerState:
    given: dict[str, Any] = {
        "files": WANTED,
        "usage": USAGE,
        "gc": {"last": RUN, "lastSuccess": RUN},
    }
    return ServerState(**{**given, **change})


def _observed(*, server: ServerState | None = None, **change: Any) -> Observed:
    return Observed(children=_children(**change), wanted_files=WANTED, server=server or _server())


def _conditions(found: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in found["conditions"]}


def _message(found: Mapping[str, Any], kind: str) -> str:
    return str(next(one["message"] for one in found["conditions"] if one["type"] == kind))


def test_a_registry_that_does_what_it_should_is_ready_and_nothing_else() -> None:
    found = status.of(registry(generation=3), _observed(), (), NOW)
    assert _conditions(found) == {
        "Ready": ("True", "Serving"),
        "StorageReady": ("True", "Bound"),
        "CertificateReady": ("True", "Issued"),
        "ServerReady": ("True", "Serving"),
        "Writable": ("True", "Writable"),
        "GarbageCollected": ("True", "Succeeded"),
    }
    assert found["observedGeneration"] == 3
    assert {one["observedGeneration"] for one in found["conditions"]} == {3}


def test_the_facts_are_what_clients_need() -> None:
    found = status.of(registry(), _observed(), (), NOW)
    assert found["url"] == "https://team.team-a.svc:5000"
    assert found["endpoints"] == {"push": "team.team-a.svc:5000", "pull": "team.team-a.svc:5000"}
    assert found["clusterIP"] == "10.96.7.7"
    assert found["pullSecretName"] == "team-pull"
    assert found["caBundle"]["configMapName"] == "team-ca"
    assert len(found["caBundle"]["sha256"]) == 64
    assert found["certificate"]["notAfter"] == "2026-05-30T12:00:00Z"
    assert found["certificate"]["renewAt"] == "2026-04-30T12:00:00Z"
    assert found["storage"] == {
        "claimName": "team-data",
        "requested": "10Gi",
        "capacity": "10Gi",
        "used": "4.8Mi",
    }
    assert found["garbageCollection"] == {
        "lastRunTime": "2026-03-01T03:17:02Z",
        "lastSuccessTime": "2026-03-01T03:17:02Z",
        "durationSeconds": 2.4,
        "blobsDeleted": 4,
        "bytesReclaimed": 4096,
        "bytesReclaimable": 1_000_448,
    }
    assert found["usage"] == {
        "repositories": 2,
        "tags": 3,
        "bytes": 5_005_312,
        "bytesReclaimable": 1_000_448,
        "observedTime": "2026-03-01T12:00:00Z",
    }


def test_a_node_port_with_a_host_name_is_where_clients_push() -> None:
    spec = {"expose": {"type": "NodePort", "hostnames": ["registry.example.com"]}}
    service = {"spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 5000, "nodePort": 30500}]}}
    found = status.of(registry(spec), _observed(service=service), (), NOW)
    assert found["url"] == "https://registry.example.com:30500"
    assert found["endpoints"]["pull"] == "team.team-a.svc:5000"


PENDING = {"status": {"containerStatuses": [{"state": {"waiting": {
    "reason": "ImagePullBackOff", "message": "no such image"}}}]}}  # fmt: skip
UNSCHEDULED = {"status": {"conditions": [{
    "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
    "message": "no node has room"}]}}  # fmt: skip


@pytest.mark.parametrize(
    ("observed", "kind", "reason", "message"),
    [
        (_observed(claim=None), "StorageReady", "ClaimMissing", "the claim team-data is not there"),
        (
            _observed(claim=_claim("Pending", None, storageClassName="fast")),
            "StorageReady",
            "ClaimPending",
            "the claim team-data waits for a volume of storage class fast",
        ),
        (_observed(claim=_claim("Lost")), "StorageReady", "ClaimLost", "restore the Persistent"),
        (
            _observed(claim=_claim(capacity="5Gi")),
            "StorageReady",
            "Resizing",
            "the volume of claim team-data grows from 5Gi to 10Gi",
        ),
        (_observed(tls=None), "CertificateReady", "Missing", "holds no certificate yet"),
        (_observed(tls={"data": {}}), "CertificateReady", "Missing", "holds no certificate yet"),
        (_observed(service=None), "ServerReady", "NoAddress", "the Service team has no address"),
        (
            _observed(deployment=None),
            "ServerReady",
            "DeploymentMissing",
            "the Deployment team is not there yet",
        ),
        (_observed(deployment=_deployment(2, 1)), "ServerReady", "DeploymentUpdating", "not seen"),
        (_observed(deployment=_deployment(available=0)), "ServerReady", "PodStarting", "starting"),
        (
            _observed(server=ServerState(error="connection refused")),
            "ServerReady",
            "Unreachable",
            "does not answer at https://team.team-a.svc:5000: connection refused",
        ),
        (
            _observed(server=_server(config_error="unknown key x")),
            "ServerReady",
            "ConfigurationRefused",
            "keeps its old configuration: unknown key x",
        ),
        (
            _observed(server=_server(files={**WANTED, "/etc/cais/users/htpasswd": "old"})),
            "ServerReady",
            "ConfigurationLoading",
            "the server has not loaded htpasswd yet",
        ),
        (
            Observed(children=_children(), wanted_files=WANTED),
            "ServerReady",
            "NotAsked",
            "has not been asked",
        ),
        (
            Observed(children=_children(), server=_server()),
            "ServerReady",
            "ConfigurationLoading",
            "has not loaded its configuration yet",
        ),
        (
            Observed(children=_children(deployment=_deployment(available=0)), pods=(PENDING,)),
            "ServerReady",
            "PodNotReady",
            "the server's pod is not ready: ImagePullBackOff: no such image",
        ),
        (
            Observed(children=_children(deployment=_deployment(available=0)), pods=(UNSCHEDULED,)),
            "ServerReady",
            "PodNotReady",
            "the server's pod is not ready: Unschedulable: no node has room",
        ),
    ],
)
def test_what_is_missing_is_the_reason_of_ready(
    observed: Observed, kind: str, reason: str, message: str
) -> None:
    found = status.of(registry(), observed, (), NOW)
    conditions = _conditions(found)
    assert conditions[kind] == conditions["Ready"] == ("False", reason)
    assert message in _message(found, kind)
    assert _message(found, "Ready") == _message(found, kind)
    assert "Stalled" not in conditions
    assert ("Reconciling" in conditions) == (reason != "ClaimLost")


def test_an_expired_certificate_is_said() -> None:
    found = status.of(registry(), _observed(), (), NOW + timedelta(days=91))
    assert _conditions(found)["Ready"] == ("False", "Expired")


def test_a_full_disk_is_not_ready_and_nobody_is_on_the_way_to_help() -> None:
    full = {**USAGE, "disk": {"capacity": 1 << 30, "available": 0}}
    found = status.of(registry(), _observed(server=_server(usage=full)), (), NOW)
    conditions = _conditions(found)
    assert conditions["Writable"] == conditions["Ready"] == ("False", "DiskFull")
    assert "Reconciling" not in conditions
    assert "spec.storage.volume.size" in _message(found, "Writable")


def test_a_failed_garbage_collection_leaves_ready_alone() -> None:
    failed = _server(gc={"last": FAILED, "lastSuccess": None})
    found = status.of(registry(), _observed(server=failed), (), NOW)
    assert _conditions(found)["GarbageCollected"] == ("False", "Failed")
    assert "the disk went away" in _message(found, "GarbageCollected")
    assert _conditions(found)["Ready"] == ("True", "Serving")
    assert "lastSuccessTime" not in found["garbageCollection"]


def test_a_registry_that_never_ran_garbage_collection_says_nothing_of_it() -> None:
    fresh = _server(gc={"last": None, "lastSuccess": None})
    found = status.of(registry(), _observed(server=fresh), (), NOW)
    assert "GarbageCollected" not in _conditions(found)


def test_problems_stall_and_name_field_value_and_rule() -> None:
    found = status.of(registry(), _observed(), (PROBLEM, PROBLEM), NOW)
    conditions = _conditions(found)
    assert conditions["Ready"] == ("False", "InvalidSpec")
    assert conditions["Stalled"] == ("True", "InvalidSpec")
    assert "Reconciling" not in conditions
    assert _message(found, "Stalled") == 'spec.a is "b": must be c; spec.a is "b": must be c'


def test_the_words_of_the_api_server_are_shown() -> None:
    refused = Observed(children=_children(), rejected="CronJob team-a/team-gc: unknown time zone")
    found = status.of(registry(), refused, (), NOW)
    assert _conditions(found)["Stalled"] == ("True", "Rejected")
    assert "unknown time zone" in _message(found, "Ready")


def test_a_paused_registry_says_so() -> None:
    paused = registry({"paused": True})
    found = status.of(paused, _observed(), (), NOW)
    assert _message(found, "Ready").endswith("; paused: the operator changes nothing")
    waiting = status.of(paused, _observed(deployment=None), (), NOW)
    assert "Reconciling" not in _conditions(waiting)


def _again(before: Mapping[str, Any], observed: Observed, **later: float) -> dict[str, Any]:
    return status.of(registry(status=before), observed, (), NOW + timedelta(**later))


def test_nothing_new_is_the_same_status() -> None:
    first = status.of(registry(), _observed(), (), NOW)
    assert _again(first, _observed(), days=1) == first


def test_another_order_of_conditions_is_nothing_new() -> None:
    first = status.of(registry(), _observed(), (), NOW)
    turned = {**first, "conditions": first["conditions"][::-1]}
    assert _again(turned, _observed(), days=1) == turned


def test_transition_times_move_only_with_the_status_of_a_condition() -> None:
    first = status.of(registry(), _observed(deployment=None), (), NOW)
    second = _again(first, _observed(deployment=_deployment(available=0)), minutes=1)
    third = _again(second, _observed(), minutes=2)
    times = [
        next(one["lastTransitionTime"] for one in found["conditions"] if one["type"] == "Ready")
        for found in (first, second, third)
    ]
    assert times == ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T12:02:00Z"]


def _with_bytes(count: int, run: Mapping[str, Any] = RUN) -> Observed:
    usage = {**USAGE, "bytes": count}
    return _observed(server=_server(usage=usage, gc={"last": run, "lastSuccess": run}))


def test_usage_is_written_at_most_every_five_minutes() -> None:
    first = status.of(registry(), _with_bytes(1 << 20), (), NOW)
    assert _again(first, _with_bytes(1 << 30), seconds=299) == first
    later = _again(first, _with_bytes(1 << 30), seconds=300)
    assert later["usage"]["bytes"] == 1 << 30
    assert later["storage"]["used"] == "1Gi"
    assert later["usage"]["observedTime"] == "2026-03-01T12:05:00Z"


def test_a_small_change_of_usage_is_not_written_at_all() -> None:
    first = status.of(registry(), _with_bytes((1 << 30) - 10), (), NOW)
    assert _again(first, _with_bytes((1 << 30) - 99), days=1) == first


def test_usage_is_written_at_once_after_garbage_collection() -> None:
    first = status.of(registry(), _with_bytes(1 << 30), (), NOW)
    run = {**RUN, "finishedAt": "2026-03-01T12:00:09Z"}
    later = _again(first, _with_bytes(1 << 20, run), seconds=10)
    assert later["usage"]["bytes"] == 1 << 20
    assert later["garbageCollection"]["lastRunTime"] == "2026-03-01T12:00:09Z"


def test_what_the_server_said_stands_while_it_is_silent() -> None:
    first = status.of(registry(), _observed(), (), NOW)
    silent = _again(first, _observed(server=ServerState(error="timeout")), minutes=10)
    for key in ("usage", "garbageCollection", "storage"):
        assert silent[key] == first[key]
    assert _conditions(silent)["Writable"] == ("True", "Writable")
    assert _conditions(silent)["Ready"] == ("False", "Unreachable")


def test_the_address_is_remembered_while_the_service_is_gone() -> None:
    first = status.of(registry(), _observed(), (), NOW)
    assert _again(first, _observed(service=None), minutes=1)["clusterIP"] == "10.96.7.7"


def test_a_spec_that_cannot_be_read_stalls_and_keeps_the_rest() -> None:
    first = status.of(registry(), _observed(deployment=None), (), NOW)
    broken = body(with_volume(size="x"), status=first, generation=2)
    found = status.of_invalid(broken, (PROBLEM,), NOW)
    conditions = _conditions(found)
    assert conditions["Ready"] == ("False", "InvalidSpec")
    assert conditions["Stalled"] == ("True", "InvalidSpec")
    assert conditions["StorageReady"] == ("True", "Bound")
    assert "Reconciling" not in conditions
    assert found["observedGeneration"] == 2
    assert found["storage"] == first["storage"]
    again = body(with_volume(size="x"), status=found, generation=2)
    assert status.of_invalid(again, (PROBLEM,), NOW + timedelta(days=1)) == found


def test_a_message_has_an_end() -> None:
    many = (Problem(field="f" * 100, value="v", rule="r"),) * 50
    found = status.of(registry(), _observed(), many, NOW)
    assert len(_message(found, "Ready")) == 1024


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1Ki"),
        (1536, "1.5Ki"),
        (10 << 20, "10Mi"),
        (812 << 20, "812Mi"),
        (3 << 30, "3Gi"),
        (1 << 62, "4096Pi"),
    ],
)
def test_bytes_are_shown_so_that_a_person_reads_them(count: int, shown: str) -> None:
    assert content.shown(count) == shown


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 123_456_789, 1 << 40])
def test_rounding_is_close_and_never_down(count: int) -> None:
    assert count <= content.rounded(count) <= count * 1.002
