# SPDX-License-Identifier: Apache-2.0
"""The RegistryAccess: what another namespace asks of a Registry, field by field as in its CRD."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from cais_operator.errors import InvalidSpec
from cais_operator.resource.checks import (
    AT_LEAST_ONE,
    DNS_LABEL,
    DNS_SUBDOMAIN,
    REGISTRY_NAME,
    REPOSITORY_GLOB,
    Limit,
    Together,
)
from cais_operator.resource.decode import decode
from cais_operator.resource.durations import Duration
from cais_operator.resource.model import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryRef:
    """Which Registry."""

    name: Annotated[str, REGISTRY_NAME]
    namespace: Annotated[str, DNS_LABEL]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """When the password is replaced, and for how long the old one goes on to work."""

    every: Duration = Duration.parse("720h")
    overlap: Duration = Duration.parse("24h")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSpec:
    """The whole spec."""

    registry_ref: RegistryRef
    repositories: Annotated[
        tuple[Annotated[str, REPOSITORY_GLOB], ...],
        AT_LEAST_ONE,
        Limit(32),
        Together(2048),  # times `room.MOST_ACCOUNTS` it is a third of what a ConfigMap may hold
    ]
    actions: Annotated[
        tuple[Literal["pull", "create", "push", "delete"], ...], AT_LEAST_ONE, Limit(4)
    ]
    secret_name: Annotated[str, DNS_SUBDOMAIN]
    rotation: Rotation = field(default_factory=Rotation)
    service_accounts: Annotated[tuple[Annotated[str, DNS_SUBDOMAIN], ...], Limit(32)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAccess:
    """A RegistryAccess; spec with every default filled in.

    Attributes:
        key: Namespace and name.
        uid: Identity of this object; the owner reference of its Secret carries it.
        generation: Counts changes of the spec.
        deleting: Whether the API server is deleting it.
        spec: The parsed spec.
        status: The status as it is.
    """

    key: Key
    uid: str
    generation: int
    deleting: bool
    spec: AccessSpec
    status: Mapping[str, Any] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """Namespace of whoever asks, and of the Secret."""
        return self.key.namespace

    @property
    def name(self) -> str:
        """Name of the RegistryAccess."""
        return self.key.name

    @property
    def registry(self) -> Key:
        """Which Registry it names."""
        ref = self.spec.registry_ref
        return Key(ref.namespace, ref.name)


def parse_access(body: Mapping[str, Any]) -> RegistryAccess:
    """Read a RegistryAccess as the API server returns it; the counterpart of `parse`.

    Raises:
        InvalidSpec: With every problem found, not only the first.
    """
    spec, problems = decode(AccessSpec, body.get("spec") or {}, "spec")
    if problems:
        raise InvalidSpec(problems)
    metadata = body["metadata"]
    return RegistryAccess(
        key=Key(metadata["namespace"], metadata["name"]),
        uid=metadata.get("uid", ""),
        generation=int(metadata.get("generation", 0)),
        deleting="deletionTimestamp" in metadata,
        spec=spec,
        status=body.get("status") or {},
    )
