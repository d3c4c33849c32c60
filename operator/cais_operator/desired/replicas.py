# SPDX-License-Identifier: Apache-2.0
"""How many servers there are, where, and how they follow each other. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cais_operator import backend, names
from cais_operator.desired import pods
from cais_operator.resource import Registry

_PLACES = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
_NOTICE = 5  # seconds in which everyone learns that a pod takes no more requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """What templates know of it; None leaves a key out.

    Attributes:
        count: None leaves it to whoever scales the Deployment.
        strategy: Of the Deployment.
        claim: Volume source of the data.
        scratch: Volume source of what a server over a bucket keeps for itself, which is next to
            nothing.
        backend: Volume source of keys and addresses.
        spread: Topology spread constraints.
        lifecycle: Hooks of the container.
    """

    count: int | None
    strategy: Mapping[str, Any]
    claim: Mapping[str, Any] | None = None
    scratch: Mapping[str, Any] | None = None
    backend: Mapping[str, Any] | None = None
    spread: tuple[Mapping[str, Any], ...] | None = None
    lifecycle: Mapping[str, Any] | None = None


def replicas(registry: Registry) -> Replicas:
    """Return one server that is gone before the next one comes, or as many as are asked for.

    A volume belongs to one server at a time. Over a bucket, a new server has to be ready before an
    old one goes, so that clients never find none.
    """
    pod = registry.spec.pod
    asked = tuple(_constraint(registry, one) for one in pod.topology_spread_constraints)
    if registry.spec.storage.mounted is not None:
        return Replicas(
            count=1,
            strategy={"type": "Recreate"},
            claim={"claimName": names.claim(registry)},
            spread=asked or None,
        )
    return Replicas(
        count=pod.replicas,
        strategy={
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        scratch={"sizeLimit": "64Mi"},
        backend=_mounted(registry),
        spread=asked or tuple(_spread(registry, place) for place in _PLACES),
        lifecycle={"preStop": {"sleep": {"seconds": _NOTICE}}},
    )


def _mounted(registry: Registry) -> dict[str, Any]:
    """The files that the server reads, readable by the group of the pods only."""
    items = [{"key": file, "path": file} for file in backend.files(registry)]
    return {"secretName": backend.secret_name(registry), "defaultMode": 0o440, "items": items}


def _constraint(registry: Registry, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """A constraint without a selector counts no pod at all: ours are meant."""
    own = {"labelSelector": {"matchLabels": names.selector(registry, names.REGISTRY)}}
    return {**own, **pods.normal(asked)}


def _spread(registry: Registry, place: str) -> Mapping[str, Any]:
    """Pods of one version are spread over places, as far as there is room."""
    spread = {
        "maxSkew": 1,
        "topologyKey": place,
        "whenUnsatisfiable": "ScheduleAnyway",
        "matchLabelKeys": ["pod-template-hash"],
    }
    return _constraint(registry, spread)
