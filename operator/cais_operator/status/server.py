# SPDX-License-Identifier: Apache-2.0
"""The server: does it run, with the configuration that the spec asks for? Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from cais_operator import names
from cais_operator.observed import Live, Observed
from cais_operator.resource import Registry
from cais_operator.status.conditions import Condition, by_type

_TYPE = "ServerReady"
_PATIENCE = timedelta(seconds=60)  # with a server that has just answered, and whose pod is ready


def condition(registry: Registry, observed: Observed, now: datetime) -> Condition:
    """Return ServerReady: the first of address, Deployment, configuration that is not there.

    One lost packet is no reason to call a registry broken: a server that was ready is Unknown
    first, and Ready stays.
    """
    service = observed.child("Service", names.service(registry)) or {}
    if not (service.get("spec") or {}).get("clusterIP"):
        return _not_yet("NoAddress", f"the Service {names.service(registry)} has no address yet")
    deployment = observed.child("Deployment", names.deployment(registry))
    if deployment is None:
        message = f"the Deployment {names.deployment(registry)} is not there yet"
        return _not_yet("DeploymentMissing", message)
    waits = _running(deployment, observed) or _followed(registry, deployment)
    return waits or _loaded(registry, observed, now)


def _followed(registry: Registry, deployment: Live) -> Condition | None:
    """Return what lacks where there can be several servers: new ones, or some of them."""
    if registry.spec.storage.mounted is not None:
        return None
    status = deployment.get("status") or {}
    there, new = status.get("replicas", 0), status.get("updatedReplicas", 0)
    if new < there:
        return _not_yet("RollingOut", f"{new} of {there} servers are of the new kind")
    wanted, ready = registry.spec.pod.replicas or 1, status.get("availableReplicas", 0)
    if ready < wanted:
        return _not_yet("ServersMissing", f"{ready} of {wanted} servers are ready, which serve")
    return None


def _running(deployment: Live, observed: Observed) -> Condition | None:
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return _not_yet("DeploymentUpdating", "the change of the Deployment is not seen yet")
    if status.get("updatedReplicas", 0) and status.get("availableReplicas", 0):
        return None
    reason = next(_reasons(observed.pods), None)
    if observed.is_late:
        message = f"the server is not ready again since it was upgraded: {reason or 'it starts'}"
        return _not_yet("RestartFailed", message)
    if reason is None:
        return _not_yet("PodStarting", "the server's pod is starting")
    return _not_yet("PodNotReady", f"the server's pod is not ready: {reason}")


def _reasons(pods: tuple[Live, ...]) -> Iterator[str]:
    """Yield why pods wait, in the words of scheduler and kubelet, the telling ones first."""
    for pod in pods:
        status: Mapping[str, Any] = pod.get("status") or {}
        for container in status.get("containerStatuses") or []:
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason", "ContainerCreating") != "ContainerCreating":
                yield _words(waiting)
        for one in status.get("conditions") or []:
            if one.get("type") == "PodScheduled" and one.get("status") == "False":
                yield _words(one)


def _words(found: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (found.get("reason"), found.get("message"))))


def _loaded(registry: Registry, observed: Observed, now: datetime) -> Condition:
    server = observed.server
    if server is None:
        return _not_yet("NotAsked", "the server has not been asked yet what it has loaded")
    if server.error is not None:
        message = f"the server does not answer at {names.url(registry)}: {server.error}"
        if not server.is_untrusted and _may_pass(registry, now):
            return Condition(
                type=_TYPE,
                status="Unknown",
                reason="Unreachable",
                message=message,
                is_tolerated=True,
            )
        return _not_yet("Unreachable", message)
    if server.config_error is not None:
        message = f"the server keeps its old configuration: {server.config_error}"
        return _not_yet("ConfigurationRefused", message)
    late = [path for path, sha in observed.wanted_files.items() if server.files.get(path) != sha]
    if late or not observed.wanted_files:
        shown = ", ".join(PurePosixPath(path).name for path in late) or "its configuration"
        return _not_yet("ConfigurationLoading", f"the server has not loaded {shown} yet")
    message = "the server runs with the configuration, users and certificate as asked for"
    message += f"; {observed.turn}" if observed.turn else ""
    return Condition(type=_TYPE, status="True", reason="Serving", message=message)


def _may_pass(registry: Registry, now: datetime) -> bool:
    """Whether the server was ready until a moment ago."""
    before = by_type(registry.status).get(_TYPE, {})
    if before.get("status") == "Unknown":
        return now - datetime.fromisoformat(str(before["lastTransitionTime"])) < _PATIENCE
    return before.get("status") == "True"


def _not_yet(reason: str, message: str) -> Condition:
    return Condition(type=_TYPE, status="False", reason=reason, message=message)
