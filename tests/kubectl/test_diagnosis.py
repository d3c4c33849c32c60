# SPDX-License-Identifier: Apache-2.0
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import cais_operator
from cais_kubectl import diagnosis
from cais_kubectl.diagnosis import Evidence
from cais_kubectl.findings import Finding
from support.fake_kubectl import NOW, condition, registry, stamp

STATUS = Path(cais_operator.__file__).parent / "status"
READY = condition("Ready", "True", "Serving")
NOT_READY = condition("Ready", "False", "PodNotReady")


def found(body: Any, **more: Any) -> list[Finding]:
    return diagnosis.of(Evidence(registry=body, now=NOW, **more))


def levels(found: list[Finding]) -> list[str]:
    return [one.level for one in found]


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "team-1", "namespace": "team-a"}, "status": status}


def waiting(reason: str) -> dict[str, Any]:
    return pod(containerStatuses=[{"state": {"waiting": {"reason": reason, "message": "why"}}}])


def event(reason: str, kind: str = "Pod", name: str = "team-1", ago: int = 60) -> dict[str, Any]:
    return {
        "type": "Warning",
        "reason": reason,
        "message": "words",
        "metadata": {"name": reason},
        "involvedObject": {"kind": kind, "name": name},
        "lastTimestamp": stamp(timedelta(seconds=ago)),
    }


def test_nothing_is_wrong_with_a_registry_that_serves() -> None:
    assert found(registry(READY, condition("StoragePressure", "False", "AmpleRoom"))) == []


@pytest.mark.parametrize(
    ("conditions", "level", "words"),
    [
        ([NOT_READY, condition("ServerReady", "False", "PodNotReady")], "problem", "logs"),
        ([READY, condition("Writable", "False", "ReadOnly")], "note", "spec.readOnly"),
        ([READY, condition("Writable", "False", "QuotaExceeded")], "warning", "kubectl cais gc"),
        ([READY, condition("GarbageCollected", "False", "Failed")], "warning", "get jobs"),
        ([READY, condition("StoragePressure", "True", "DiskGettingFull")], "warning", "size"),
        ([READY, condition("SomethingNew", "False", "New")], "warning", "describe registry team"),
        ([condition("Ready", "False", "InvalidSpec")], "problem", "edit registry team"),
    ],
)
def test_a_condition_that_is_not_as_it_should_be_is_told_once_with_what_to_do(
    conditions: list[dict[str, str]], level: str, words: str
) -> None:
    (one,) = found(registry(*conditions))
    assert one.level == level
    assert conditions[-1]["reason"] in one.what
    assert words in one.todo


@pytest.mark.parametrize(
    ("sick", "level", "words"),
    [
        (waiting("ImagePullBackOff"), "problem", "image.prefix"),
        (waiting("CrashLoopBackOff"), "problem", "--previous"),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "no node"}]),
            "problem",
            "spec.pod",
        ),
        (
            pod(
                containerStatuses=[
                    {
                        "ready": True,
                        "restartCount": 2,
                        "lastState": {"terminated": {"reason": "OOMKilled"}},
                    }
                ]
            ),
            "warning",
            "limits.memory",
        ),
    ],
)
def test_a_pod_that_does_not_run_says_why(sick: dict[str, Any], level: str, words: str) -> None:
    told = [one for one in found(registry(), pods=[sick]) if "team-1" in one.what]
    assert [one.level for one in told] == [level]
    assert words in told[0].todo


def test_a_pod_that_starts_is_no_problem() -> None:
    assert found(registry(), pods=[waiting("ContainerCreating")]) == []


def test_a_claim_without_a_volume_and_one_that_waits_for_a_restart_are_told() -> None:
    pending = {"metadata": {"name": "team-data"}, "status": {"phase": "Pending"}, "spec": {}}
    assert levels(found(registry(), claim=pending)) == ["problem"]
    grows = {"type": "FileSystemResizePending", "status": "True"}
    bound = {"metadata": {"name": "team-data"}, "status": {"phase": "Bound", "conditions": [grows]}}
    (one,) = found(registry(), claim=bound)
    assert "rollout restart deployment/team" in one.todo


def test_an_operator_that_has_not_looked_is_told_but_not_of_a_registry_that_was_just_made() -> None:
    body = registry()
    body["metadata"]["generation"] = 2
    assert levels(found(body)) == ["problem"]
    body["metadata"]["creationTimestamp"] = stamp(timedelta(seconds=5))
    assert levels(found(body)) == ["note"]


def test_pauses_deletions_and_ends_of_certificates_are_told() -> None:
    assert "paused" in found(registry(spec={"paused": True}))[0].what
    soon = registry(certificate={"notAfter": stamp(-timedelta(days=2))})
    assert levels(found(soon)) == ["warning"]
    over = registry(certificate={"notAfter": stamp(timedelta(days=2))})
    assert levels(found(over)) == ["problem"]


def test_recent_warnings_of_its_own_objects_are_repeated_where_something_is_wrong() -> None:
    told = [
        event("Old", ago=7200),
        event("Other", name="stranger"),
        event("FailedMount"),
        event("FailedMount"),
        event("Full", "Registry", "team"),
    ]
    body = registry(NOT_READY, condition("ServerReady", "False", "PodNotReady"))
    notes = [one.what for one in found(body, pods=[pod()], events=told) if one.level == "note"]
    assert notes == ["Pod team-1: FailedMount: words", "Registry team: Full: words"]
    assert found(registry(), pods=[pod()], events=told) == []


def test_the_worst_is_told_first() -> None:
    body = registry(
        READY,
        condition("Writable", "False", "ReadOnly"),
        condition("RetentionApplied", "False", "R"),
    )
    assert levels(found(body, pods=[waiting("CrashLoopBackOff")])) == ["problem", "warning", "note"]


def test_there_is_advice_for_every_condition_that_the_operator_writes() -> None:
    texts = [path.read_text() for path in STATUS.glob("*.py")]
    named = {kind for text in texts for kind in re.findall(r'TYPE = "(\w+)"', text)}
    assert len(named) >= 7
    assert named <= diagnosis._ADVICE.keys()
