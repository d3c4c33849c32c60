# SPDX-License-Identifier: Apache-2.0
"""What the pods of the server and of garbage collection have in common. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cais_operator import names, versions
from cais_operator.resource import Registry
from cais_operator.settings import Settings

# Pod Security "restricted". Changing the group of a big volume is slow; hence OnRootMismatch.
_POD_SECURITY: Mapping[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": names.UID,
    "runAsGroup": names.UID,
    "fsGroup": names.UID,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER_SECURITY: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What templates know as `pod`; None leaves a key out."""

    image: str
    image_pull_policy: str
    image_pull_secrets: tuple[Mapping[str, str], ...] | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str] | None
    node_selector: Mapping[str, str] | None
    tolerations: tuple[Mapping[str, Any], ...] | None
    priority_class_name: str | None
    security: Mapping[str, Any]
    container_security: Mapping[str, Any]


def common(
    registry: Registry, settings: Settings, component: str, annotations: Mapping[str, str]
) -> Common:
    """Return the variables that follow from spec and settings alone.

    The version label is not among the pod's: an upgrade of the operator that leaves the image as
    it is must not restart a registry.

    Args:
        registry: The Registry.
        settings: For the image.
        component: Of the pod.
        annotations: Our own; they win over those of the spec.
    """
    pod = registry.spec.pod
    return Common(
        image=versions.image(registry, settings.registry_image),
        image_pull_policy=settings.image_pull_policy,
        image_pull_secrets=tuple({"name": one} for one in settings.image_pull_secrets) or None,
        labels={**pod.labels, **pod_labels(registry, component)},
        annotations={**pod.annotations, **annotations} or None,
        node_selector=pod.node_selector or None,
        tolerations=tuple(normal(one) for one in pod.tolerations) or None,
        priority_class_name=pod.priority_class_name,
        security=_POD_SECURITY,
        container_security=_CONTAINER_SECURITY,
    )


def pod_labels(registry: Registry, component: str) -> dict[str, str]:
    """Return the fixed labels of a pod: the selector's, and whose child it is."""
    return {**names.selector(registry, component), names.MANAGED_BY: names.MANAGER}


def tls_source(registry: Registry) -> dict[str, Any]:
    """Return the TLS Secret as a volume's source; readable by the group of the pods only."""
    source: dict[str, Any] = {"secretName": names.tls_secret(registry), "defaultMode": 0o440}
    return {**source, "optional": True} if registry.spec.tls.is_disabled else source


def normal(value: Any) -> Any:  # noqa: ANN401 - any JSON value of a spec
    """Return a handed-on value as the API server stores it: without nulls and empty lists or maps.

    An empty label selector is kept: it selects everything, its absence nothing.
    """
    if isinstance(value, Mapping):
        inner = {key: normal(one) for key, one in value.items()}
        return {key: one for key, one in inner.items() if _is_stored(key, one)}
    if isinstance(value, list | tuple):
        return [normal(one) for one in value]
    return value


def _is_stored(key: str, value: object) -> bool:
    if value == {}:
        return key in ("labelSelector", "namespaceSelector")
    return value is not None and value not in ([], "")
