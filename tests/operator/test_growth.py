# SPDX-License-Identifier: Apache-2.0
"""Claims that grow, that cannot, and Deployments that somebody has made roll."""

from dataclasses import replace

import pytest

from cais_operator import status
from cais_operator.errors import Rejected
from operator_builders import NOW, registry, with_volume
from support.observing import conditions_of, message_of, observed_of, resizing
from support.operator_bench import KEY, Bench, bench

FORBIDDEN = "only dynamically provisioned pvc can be resized"
LEFT = "spec.strategy.rollingUpdate: Forbidden: may not be specified when type is Recreate"


@pytest.mark.parametrize("kind", ["ControllerResizeError", "NodeResizeError"])
def test_a_volume_that_cannot_grow_stalls_with_the_words_of_who_tried(kind: str) -> None:
    found = status.of(registry(), observed_of(claim=resizing(kind, "no room in the pool")), (), NOW)
    assert conditions_of(found)["StorageReady"] == ("False", "ResizeBlocked")
    assert conditions_of(found)["Stalled"] == ("True", "ResizeBlocked")
    words = "the volume of claim team-data stays at 5Gi: no room in the pool; make room where"
    assert words in message_of(found, "Ready")


def test_a_failure_of_a_growth_that_came_about_since_is_no_matter() -> None:
    claim = resizing("ControllerResizeError", "no room in the pool")
    claim["status"]["capacity"] = {"storage": "10Gi"}
    found = status.of(registry(), observed_of(claim=claim), (), NOW)
    assert conditions_of(found)["StorageReady"] == ("True", "Bound")


def test_a_growth_that_waits_for_the_node_says_so() -> None:
    claim = resizing("FileSystemResizePending", "waits for the node")
    found = status.of(registry(), observed_of(claim=claim), (), NOW)
    assert conditions_of(found)["Ready"] == ("False", "Resizing")
    assert "grows from 5Gi to 10Gi: waits for the node" in message_of(found, "Ready")


def test_a_growth_that_was_given_up_without_words_is_told() -> None:
    claim = resizing("Resizing", "")
    claim["status"]["allocatedResourceStatuses"] = {"storage": "ControllerResizeInfeasible"}
    found = status.of(registry(), observed_of(claim=claim), (), NOW)
    assert "it says ControllerResizeInfeasible" in message_of(found, "StorageReady")
    claim["status"]["allocatedResourceStatuses"] = {"storage": "ControllerResizeInProgress"}
    found = status.of(registry(), observed_of(claim=claim), (), NOW)
    assert conditions_of(found)["StorageReady"] == ("False", "Resizing")


def test_a_refused_growth_is_told() -> None:
    observed = replace(observed_of(), resize=FORBIDDEN)
    found = status.of(registry(), observed, (), NOW)
    assert conditions_of(found)["StorageReady"] == ("False", "ResizeBlocked")
    assert f"{FORBIDDEN}; let its storage class allow expansion" in message_of(found, "Stalled")


def _refuse(made: Bench, kind: str, message: str) -> None:
    """The API server refuses applies of a kind, until somebody has patched one."""
    patch = ("patch", kind, "team")

    def judge(verb: str, found: str, name: str) -> None:
        if (verb, found) == ("apply", kind) and patch not in made.cluster.requests:
            subject = f"{kind} team-a/{name}"
            raise Rejected(status=422, reason="Invalid", message=message, subject=subject)

    made.cluster.before = judge


async def test_a_claim_that_may_not_grow_stops_nothing_else() -> None:
    made = bench(with_volume(size="10Gi"))
    await made.settle()
    _refuse(made, "PersistentVolumeClaim", FORBIDDEN)
    made.cluster.change("Registry", "team", spec={**with_volume(size="20Gi"), "quota": "1Gi"})
    await made.serve()
    assert made.condition("Stalled")["reason"] == "ResizeBlocked"
    outcome = await made.operator().reconcile(KEY)
    assert outcome.rest is None  # no watch shows what a storage class allows
    assert '"quota": 1073741824' in made.written()["server.yaml"]


async def test_a_claim_that_is_refused_for_something_else_is_told_as_that() -> None:
    made = bench(with_volume(size="10Gi"))
    _refuse(made, "PersistentVolumeClaim", "exceeded quota")
    await made.operator().reconcile(KEY)
    assert made.condition("Stalled")["reason"] == "Rejected"


@pytest.mark.parametrize(("message", "stalls"), [(LEFT, False), ("spec.replicas: no", True)])
async def test_what_a_rolling_update_left_behind_goes_before_recreate_is_applied(
    message: str, *, stalls: bool
) -> None:
    made = bench()
    await made.settle()
    _refuse(made, "Deployment", message)
    made.cluster.change("Registry", "team", spec={"pod": {"labels": {"example.com/a": "b"}}})
    await made.operator().reconcile(KEY)
    assert bool(made.condition("Stalled")) is stalls
    template = made.cluster.objects["Deployment", "team-a", "team"]["spec"]["template"]
    assert ("example.com/a" in template["metadata"]["labels"]) is not stalls
