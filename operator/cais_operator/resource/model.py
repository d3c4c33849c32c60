# SPDX-License-Identifier: Apache-2.0
"""One Registry as it was read from the API server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cais_operator.resource.spec import Spec


class Key(NamedTuple):
    """What the queue carries and the reconcile takes: which Registry, nothing else."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A Registry; spec with every default filled in.

    Attributes:
        key: Namespace and name.
        uid: Identity of this object; owner references carry it.
        generation: Counts changes of the spec.
        resource_version: Of the object as read.
        deleting: Whether the API server is deleting it.
        annotations: As they are.
        spec: The parsed spec.
        status: The status as it is; what `status.of` starts from.
    """

    key: Key
    uid: str
    generation: int
    resource_version: str
    deleting: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: Spec = field(default_factory=Spec)
    status: Mapping[str, Any] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """Namespace of the Registry and of all it owns."""
        return self.key.namespace

    @property
    def name(self) -> str:
        """Name of the Registry."""
        return self.key.name
