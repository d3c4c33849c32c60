# SPDX-License-Identifier: Apache-2.0
"""The cases of `crd_cases` for both sides of a RegistryAccess, and specs that are refused."""

from typing import Any

from support.crd_case import Case, Spec


def _consumer(**requirement: Any) -> Spec:
    consumer = {
        "namespaceSelector": {"matchExpressions": [{"key": "tier", **requirement}]},
        "repositories": ["apps/**"],
        "actions": ["pull"],
    }
    return {"consumers": [consumer]}


def asked(**spec: Any) -> Spec:
    """The spec of a RegistryAccess."""
    return {
        "registryRef": {"name": "team", "namespace": "team-a"},
        "repositories": ["apps/**"],
        "actions": ["pull"],
        "secretName": "registry",
        **spec,
    }


def _long(characters: int) -> list[str]:
    """As many patterns as there may be, of so many characters together."""
    short = [f"apps/{at:03}{'x' * 56}" for at in range(31)]
    return [*short, "y" * (characters - sum(map(len, short)))]


def _rotation(every: str, overlap: str) -> Spec:
    return asked(rotation={"every": every, "overlap": overlap})


CONSUMER_CASES = (
    Case(
        message="In and NotIn need values",
        accepted=_consumer(operator="In", values=["web"]),
        refused=_consumer(operator="NotIn", values=[]),
    ),
    Case(
        message="In and NotIn need values",
        accepted=_consumer(operator="Exists"),
        refused=_consumer(operator="DoesNotExist", values=["web"]),
    ),
    Case(
        message="metadata.name must begin with a letter",
        accepted=asked(),
        refused=asked(),
        names=("a" * 40, "a" * 41),
        kind="RegistryAccess",
    ),
    Case(
        message="repositories may have at most 2048 characters together",
        accepted=asked(repositories=_long(2048)),
        refused=asked(repositories=_long(2049)),
        kind="RegistryAccess",
    ),
    Case(
        message="overlap must be less than every",
        accepted=_rotation("1h", "59m"),
        refused=_rotation("1h", "60m"),
        kind="RegistryAccess",
    ),
    Case(
        message="every must be at least 10m",
        accepted=_rotation("10m", "0s"),
        refused=_rotation("9m59s", "0s"),
        kind="RegistryAccess",
    ),
    Case(
        message="every must be at least 10m and at most 8760h",
        accepted=_rotation("8760h", "24h"),
        refused=_rotation("8761h", "24h"),
        kind="RegistryAccess",
    ),
)

BROKEN_CONSUMERS = (
    ("spec.registryRef.namespace", asked(registryRef={"name": "team"})),
    ("spec.registryRef.name", asked(registryRef={"name": "Team", "namespace": "a"})),
    ("spec.registryRef.namespace", asked(registryRef={"name": "team", "namespace": "a/b"})),
    ("spec.repositories", asked(repositories=[])),
    ("spec.repositories[0]", asked(repositories=["apps//x"])),
    ("spec.repositories[0]", asked(repositories=["Apps/**"])),
    ("spec.actions[0]", asked(actions=["admin"])),
    ("spec.secretName", asked(secretName="../x")),
    ("spec.serviceAccounts[0]", asked(serviceAccounts=["team-a/default"])),
    ("spec.serviceAccounts[1]", asked(serviceAccounts=["default", "default"])),
    ("spec.rotation.every", asked(rotation={"every": "often"})),
)
