# SPDX-License-Identifier: Apache-2.0
"""Examples for the rules about where the data is."""

from typing import Any

from support.crd_case import Case, Spec


def volume(**more: Any) -> Spec:
    return {"storage": {"volume": more}}


def bucket(replicas: int | None = None, **more: Any) -> Spec:
    """A registry over a bucket and a database."""
    s3 = {"bucket": "images", "secretRef": {"name": "keys"}, **more}
    found: Spec = {"storage": {"s3": s3}, "database": {"secretRef": {"name": "database"}}}
    return found if replicas is None else {**found, "pod": {"replicas": replicas}}


def _spread(**more: Any) -> Spec:
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    return {"pod": {"topologySpreadConstraints": [{**constraint, **more}]}}


_WITHOUT_A_CLASS: tuple[Spec, ...] = ({}, volume())
_OTHER_CLASSES: tuple[Spec, ...] = (
    volume(storageClassName="slow"),
    volume(),
    {"storage": {}},
    {},
)
STORAGE_CASES = (
    Case(
        message="size must be more than zero",
        accepted=volume(size="1"),
        refused=volume(size="0Gi"),
    ),
    Case(
        message="a volume cannot shrink",
        before=volume(size="2Gi"),
        accepted=volume(size="2048Mi"),
        refused=volume(size="2047Mi"),
    ),
    Case(
        message="a volume cannot shrink",
        before={},
        accepted=volume(size="10Gi"),
        refused=volume(size="9Gi"),
    ),
    Case(
        message="a volume cannot shrink",
        before=volume(size="20Gi"),
        accepted=volume(size="20Gi", onDelete="Delete"),
        refused=volume(onDelete="Delete"),
    ),
    Case(
        message="a volume cannot shrink",
        before=volume(size="20Gi"),
        accepted=volume(size="20480Mi"),
        refused={"storage": {}},  # else 10Gi could be asked for afterwards
    ),
    Case(
        message="a volume cannot shrink",
        before=volume(size="20Gi"),
        accepted=volume(size="21Gi"),
        refused={},
    ),
    Case(
        message="a volume cannot shrink",
        before=volume(onDelete="Delete"),
        accepted={"storage": {}},
        refused=volume(size="9Gi"),
    ),
    *(
        Case(
            message="the storage class of a volume cannot change",
            before=volume(storageClassName="fast"),
            accepted=volume(storageClassName="fast", size="20Gi"),
            refused=refused,
        )
        for refused in _OTHER_CLASSES
    ),
    *(
        Case(
            message="the storage class of a volume cannot change",
            before=before,
            accepted=volume(size="20Gi"),
            refused=volume(storageClassName="slow"),
        )
        for before in _WITHOUT_A_CLASS
    ),
    Case(
        message="a registry cannot move to another claim",
        before=volume(existingClaim="one"),
        accepted=volume(existingClaim="one"),
        refused=volume(existingClaim="two"),
    ),
    Case(
        message="a registry cannot move to another claim",
        before={},
        accepted=volume(onDelete="Delete"),
        refused=volume(existingClaim="two"),
    ),
    Case(
        message="a registry cannot move to another claim",
        before=volume(existingClaim="one"),
        accepted=volume(existingClaim="one", size="20Gi"),
        refused={},
    ),
    Case(
        message="an existing claim has its storage class already",
        accepted=volume(existingClaim="one"),
        refused=volume(existingClaim="one", storageClassName="fast"),
    ),
    Case(
        message="an existing claim is never deleted",
        accepted=volume(existingClaim="one", onDelete="Retain"),
        refused=volume(existingClaim="one", onDelete="Delete"),
    ),
    Case(
        message="name one of volume and s3",
        accepted=bucket(),
        refused={**bucket(), "storage": {**bucket()["storage"], "volume": {}}},
    ),
    Case(
        message="a registry cannot move between a volume and a bucket",
        before={},
        accepted=volume(size="11Gi"),
        refused=bucket(),
    ),
    Case(
        message="a registry cannot move between a volume and a bucket",
        before=bucket(),
        accepted=bucket(replicas=3, endpoint="https://elsewhere.example.com", redirect=True),
        refused=volume(size="10Gi"),
    ),
    Case(
        message="a registry cannot move to another bucket or prefix",
        before=bucket(),
        accepted=bucket(secretRef={"name": "others"}, region="eu-south-1"),
        refused=bucket(bucket="other"),
    ),
    Case(
        message="a registry cannot move to another bucket or prefix",
        before=bucket(prefix="a/b"),
        accepted=bucket(prefix="a/b"),
        refused=bucket(),
    ),
    Case(
        message="storage.s3 and database need each other",
        accepted=bucket(),
        refused={"storage": bucket()["storage"]},
    ),
    Case(
        message="storage.s3 and database need each other",
        accepted={},
        refused={"database": bucket()["database"]},
    ),
    Case(
        message="more than one replica needs storage.s3 and database",
        accepted=bucket(replicas=32),
        refused={"pod": {"replicas": 2}},
    ),
    Case(
        message="more than one replica needs storage.s3 and database",
        accepted={"pod": {"replicas": 1}},
        refused={**volume(size="1Gi"), "pod": {"replicas": 2}},
    ),
)

STORAGE_BROKEN: tuple[tuple[str, Spec], ...] = (
    ("spec.storage.volume.size", volume(size="-1Gi")),
    ("spec.storage.volume.size", volume(size="1e3")),
    ("spec.storage.volume.onDelete", volume(onDelete="Keep")),
    ("spec.storage.s3.bucket", {**bucket(), "storage": {"s3": {"secretRef": {"name": "keys"}}}}),
    ("spec.storage.s3.secretRef", {**bucket(), "storage": {"s3": {"bucket": "images"}}}),
    ("spec.storage.s3.bucket", bucket(bucket="Images")),
    ("spec.storage.s3.endpoint", bucket(endpoint="s3.example.com")),
    ("spec.storage.s3.endpoint", bucket(endpoint="https://s3.example.com/path")),
    ("spec.storage.s3.endpoint", bucket(endpoint="https://user:key@s3.example.com")),
    ("spec.storage.s3.region", bucket(region="EU")),
    ("spec.storage.s3.prefix", bucket(prefix="/a")),
    ("spec.storage.s3.prefix", bucket(prefix="a/../b")),
    ("spec.storage.s3.secretRef.accessKeyId", bucket(secretRef={"name": "a", "accessKeyId": "/"})),
    ("spec.storage.s3.caSecretRef.name", bucket(caSecretRef={})),
    ("spec.storage.s3.redirect", bucket(redirect="yes")),
    ("spec.database.secretRef", {**bucket(), "database": {}}),
    ("spec.pod.replicas", bucket(replicas=0)),
    ("spec.pod.replicas", bucket(replicas=33)),
    ("spec.pod.topologySpreadConstraints[0].maxSkew", _spread(maxSkew=0)),
    ("spec.pod.topologySpreadConstraints[0].whenUnsatisfiable", _spread(whenUnsatisfiable="Wait")),
    ("spec.pod.topologySpreadConstraints[0].nodeTaintsPolicy", _spread(nodeTaintsPolicy="no")),
    (
        "spec.pod.topologySpreadConstraints[0].topologyKey",
        {"pod": {"topologySpreadConstraints": [{"maxSkew": 1}]}},
    ),
)
