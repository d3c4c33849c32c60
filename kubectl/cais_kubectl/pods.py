# SPDX-License-Identifier: Apache-2.0
"""Why a pod does not run, in words for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cais_kubectl.api import Object
from cais_kubectl.findings import Finding

_HARMLESS: Final = ("ContainerCreating", "PodInitializing")
_IMAGE: Final = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_PULL: Final = (
    "can the node pull the server's image? See the chart's image.prefix and image.pullSecrets"
)


def of(pod: Object) -> Iterator[Finding]:
    """Yield what is wrong with a pod."""
    status: Mapping[str, Any] = pod.get("status") or {}
    name = f"pod {pod['metadata']['name']}"
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            yield Finding.problem(
                f"{name} is on no node: {one.get('message') or one.get('reason')}",
                "make room, or change spec.pod (nodeSelector, tolerations, resources)",
            )
    for container in status.get("containerStatuses") or ():
        yield from _container(name, container, pod["metadata"].get("namespace", ""))


def _container(name: str, container: Mapping[str, Any], namespace: str) -> Iterator[Finding]:
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason = waiting.get("reason")
    ended = (container.get("lastState") or {}).get("terminated") or {}
    logs = f"kubectl -n {namespace} logs {name.removeprefix('pod ')} --previous"
    if reason in _IMAGE:
        yield Finding.problem(f"{name}: {reason}: {waiting.get('message', '')}", _PULL)
    elif reason and reason not in _HARMLESS:
        yield Finding.problem(f"{name}: {reason}: {waiting.get('message', '')}", logs)
    if ended.get("reason") == "OOMKilled":
        yield Finding.warning(
            f"{name} was ended for its memory, {container.get('restartCount', 0)} restarts",
            "raise spec.pod.resources.limits.memory",
        )
    elif container.get("restartCount", 0) and not reason and not container.get("ready"):
        code = ended.get("exitCode")
        yield Finding.problem(f"{name} has restarted, last with exit code {code}", logs)
