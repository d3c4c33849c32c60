# SPDX-License-Identifier: Apache-2.0
"""What a cluster needs for Registries, judged from what it says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from cais_kubectl.api import Object
from cais_kubectl.findings import Finding
from cais_kubectl.output import moment_of

OLDEST: Final = (1, 30)
"""Version of Kubernetes, as the chart's `kubeVersion` has it."""
DEFINITIONS: Final = ("registries.cais.dev", "registryaccesses.cais.dev")
SKEW: Final = timedelta(seconds=30)
_LEASE: Final = timedelta(seconds=60)  # many times what a leader takes to renew
_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"
_INSTALL: Final = "install it: helm upgrade --install cais charts/cais -n cais-system"
_VERSION: Final = "v1alpha1"


def version(said: Mapping[str, Any]) -> Finding:
    """Judge the API server's `/version`."""
    text = str(said.get("gitVersion") or "?")
    numbers = re.match(r"v(\d+)\.(\d+)", text)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        least = ".".join(map(str, OLDEST))
        return Finding.problem(f"Kubernetes is {text}", f"Cais needs {least} or newer")
    return Finding("ok", f"Kubernetes is {text}")


def definition(name: str, found: Object | None) -> Finding:
    """Judge a CustomResourceDefinition."""
    if found is None:
        return Finding.problem(f"the resource definition {name} is missing", _INSTALL)
    conditions = (found.get("status") or {}).get("conditions") or ()
    state = {one["type"]: one for one in conditions}
    for kind in ("Established", "NamesAccepted"):
        one = state.get(kind, {})
        if one.get("status") != "True":
            words = one.get("message") or "no word of it"
            what = f"the resource definition {name} is not {kind}: {words}"
            return Finding.problem(what, f"kubectl describe crd {name}")
    served = [one["name"] for one in found["spec"]["versions"] if one.get("served")]
    if _VERSION not in served:
        what = f"the resource definition {name} serves {', '.join(served)}, not {_VERSION}"
        return Finding.problem(what, "use a kubectl-cais of the installed version")
    return Finding("ok", f"the resource definition {name} is established")


def operators(deployments: Sequence[Object]) -> Iterator[Finding]:
    """Judge the operator's Deployments."""
    if not deployments:
        yield Finding.problem("no operator is installed", _INSTALL)
    if len(deployments) > 1:
        places = ", ".join(one["metadata"]["namespace"] for one in deployments)
        yield Finding.warning(
            f"there are several operators, in {places}",
            "fine only where each has its own watchNamespaces",
        )
    for one in deployments:
        metadata, status = one["metadata"], one.get("status") or {}
        name = f"the operator {metadata['namespace']}/{metadata['name']}"
        available, wanted = status.get("availableReplicas", 0), one["spec"].get("replicas", 1)
        if not available:
            todo = f"kubectl -n {metadata['namespace']} describe pods -l {OPERATOR}"
            yield Finding.problem(f"{name} has no pod that is ready, of {wanted}", todo)
        else:
            yield Finding("ok", f"{name} runs, {available} of {wanted} pods")


OPERATOR: Final = "app.kubernetes.io/name=cais-operator"


def leader(lease: Object | None, namespace: str, now: datetime | None) -> Finding:
    """Judge the Lease of an operator; `now` is the API server's time."""
    todo = f"kubectl -n {namespace} logs -l {OPERATOR}"
    if lease is None:
        return Finding.problem(f"no operator has ever led in namespace {namespace}", todo)
    holder = (lease.get("spec") or {}).get("holderIdentity")
    renewed = moment_of((lease.get("spec") or {}).get("renewTime"))
    if not holder:
        return Finding.problem(f"no operator leads in namespace {namespace}", todo)
    if renewed is None or now is None:
        return Finding.note(f"{holder} leads, for how long is not known", "")
    if now - renewed > _LEASE:
        seconds = (now - renewed).total_seconds()
        return Finding.problem(f"{holder} led, and was last heard of {seconds:.0f} s ago", todo)
    return Finding("ok", f"{holder} leads")


def classes(found: Sequence[Object]) -> Finding:
    """Judge the storage classes."""
    defaults = [one for one in found if _annotation(one, _DEFAULT) == "true"]
    names = ", ".join(one["metadata"]["name"] for one in found) or "none"
    if not defaults:
        return Finding.warning(
            f"no storage class is the default one; there are: {names}",
            "each Registry has to name one in spec.storage.volume.storageClassName",
        )
    default = defaults[0]
    name = default["metadata"]["name"]
    if len(defaults) > 1:
        also = ", ".join(one["metadata"]["name"] for one in defaults)
        return Finding.warning(f"several storage classes are the default one: {also}", "leave one")
    if not default.get("allowVolumeExpansion"):
        return Finding.warning(
            f"the default storage class {name} does not let volumes grow",
            f"if its driver can: kubectl patch storageclass {name}"
            """ -p '{"allowVolumeExpansion": true}'""",
        )
    return Finding("ok", f"the default storage class {name} lets volumes grow")


def node_trust(found: Sequence[Object]) -> Finding:
    """Judge the DaemonSet that tells nodes of the registries."""
    if not found:
        return Finding.note(
            "nodes are not told of registries (nodeTrust.enabled is off)",
            "for Pods to pull, turn it on or set nodes up by hand: docs/operations.md",
        )
    one = found[0]
    status, namespace = one.get("status") or {}, one["metadata"]["namespace"]
    wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
    if ready < wanted or not wanted:
        return Finding.problem(
            f"{ready} of {wanted} nodes know the registries",
            f"kubectl -n {namespace} get events --field-selector reason=Unhealthy",
        )
    return Finding("ok", f"all {wanted} nodes know the registries")


def clock(here: datetime, there: datetime | None) -> Finding:
    """Judge how far this machine's clock is from the API server's."""
    if there is None:
        return Finding.note("the API server does not tell the time", "")
    ahead = here - there
    if abs(ahead) > SKEW:
        word = "ahead of" if ahead > timedelta() else "behind"
        return Finding.warning(
            f"this machine's clock is {abs(ahead).total_seconds():.0f} s {word} the API server's",
            "set the clocks (NTP): certificates and tokens are refused when they differ",
        )
    return Finding("ok", "this machine's clock agrees with the API server's")


RIGHTS: Final = (
    ("list", "cais.dev", "registries", "", "status, usage"),
    ("patch", "cais.dev", "registries", "", "gc"),
    ("list", "", "events", "", "status"),
    ("list", "", "pods", "", "status"),
    ("get", "", "secrets", "", "login, ls"),
    ("get", "", "configmaps", "", "login, ls"),
    ("create", "", "pods", "portforward", "login, ls"),
)
"""Verb, group, resource, subresource, and the commands that need it."""


def rights(allowed: Mapping[tuple[str, str, str, str], bool], namespace: str) -> Finding:
    """Judge what the caller may do in a namespace."""
    lacking = [
        f"{verb} {resource}{'/' if sub else ''}{sub} ({commands})"
        for verb, group, resource, sub, commands in RIGHTS
        if not allowed[verb, group, resource, sub]
    ]
    if lacking:
        return Finding.warning(
            f"in namespace {namespace} you may not {'; '.join(lacking)}",
            "the commands in brackets fail in part: ask whoever runs the cluster",
        )
    return Finding("ok", f"in namespace {namespace} you may do what these commands need")


def _annotation(found: Object, name: str) -> str:
    return str((found["metadata"].get("annotations") or {}).get(name) or "")
