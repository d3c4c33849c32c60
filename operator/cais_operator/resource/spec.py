# SPDX-License-Identifier: Apache-2.0
"""The spec of a Registry, field by field as in the CRD, with the CRD's defaults.

`decode` fills these classes; a Python name `undelete_window` is the field `undeleteWindow`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from cais_operator.resource.checks import (
    AT_LEAST_ONE,
    CIDR,
    CRON,
    DNS_LABEL,
    DNS_SUBDOMAIN,
    HOSTNAME,
    IDENTITY,
    OBJECT_KIND,
    QUALIFIED,
    REPOSITORY_GLOB,
    SECRET_KEY,
    TAG_GLOB,
    TIME_ZONE,
    VERSION,
    Limit,
    Range,
)
from cais_operator.resource.consumers import Consumer
from cais_operator.resource.durations import Duration
from cais_operator.resource.issuers import Issuer
from cais_operator.resource.pod import Pod
from cais_operator.resource.quantities import Quantity
from cais_operator.resource.storage import Database, Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate from the installation's own CA."""

    validity: Duration = Duration.parse("2160h")
    renew_before: Duration = Duration.parse("720h")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRef:
    """A Secret in the Registry's namespace."""

    name: Annotated[str, DNS_SUBDOMAIN]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRef:
    """An issuer of cert-manager."""

    name: Annotated[str, DNS_SUBDOMAIN]
    kind: Annotated[str, OBJECT_KIND] = "Issuer"
    group: Annotated[str, DNS_SUBDOMAIN] = "cert-manager.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertManager:
    """A certificate that cert-manager issues and renews."""

    issuer_ref: IssuerRef
    names: Literal["All", "Hostnames"] = "All"
    duration: Duration = Duration.parse("2160h")
    renew_before: Duration = Duration.parse("720h")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """Plain HTTP; there is nothing to choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Where the certificate comes from: one of these, and `issued` when none is named."""

    issued: Issued | None = None
    secret_ref: SecretRef | None = None
    cert_manager: CertManager | None = None
    disabled: Disabled | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the fields that are there, as the spec has them; more than one is refused."""
        found = {
            "issued": self.issued,
            "secretRef": self.secret_ref,
            "certManager": self.cert_manager,
            "disabled": self.disabled,
        }
        return tuple(name for name, value in found.items() if value is not None)

    @property
    def is_issued(self) -> bool:
        """Whether the operator signs the certificate itself."""
        return self.given in ((), ("issued",))

    @property
    def is_disabled(self) -> bool:
        """Whether the registry speaks plain HTTP."""
        return self.disabled is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKeyRef:
    """One key of a Secret in the Registry's namespace."""

    name: Annotated[str, DNS_SUBDOMAIN]
    key: Annotated[str, SECRET_KEY] = "password"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A declared user; without a reference the password is generated once."""

    name: Annotated[str, DNS_LABEL]
    password_secret_ref: SecretKeyRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccounts:
    """A ServiceAccount, or without a name all of a namespace."""

    namespace: Annotated[str, DNS_LABEL]
    name: Annotated[str, DNS_SUBDOMAIN] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Who may do what where; access is the union of all matching rules."""

    users: Annotated[tuple[Annotated[str, DNS_LABEL], ...], AT_LEAST_ONE, Limit(32)] = ()
    service_accounts: Annotated[tuple[ServiceAccounts, ...], AT_LEAST_ONE, Limit(32)] = ()
    identities: Annotated[tuple[Annotated[str, IDENTITY], ...], AT_LEAST_ONE, Limit(32)] = ()
    repositories: Annotated[tuple[Annotated[str, REPOSITORY_GLOB], ...], AT_LEAST_ONE, Limit(32)]
    actions: Annotated[
        tuple[Literal["pull", "create", "push", "delete"], ...], AT_LEAST_ONE, Limit(4)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Users and what they may do; deny by default."""

    anonymous: Annotated[tuple[Literal["pull"], ...], Limit(1)] = ()
    users: Annotated[tuple[User, ...], Limit(64)] = ()
    rules: Annotated[tuple[Rule, ...], Limit(64)] = ()
    issuers: Annotated[tuple[Issuer, ...], Limit(8)] = ()
    rotation_overlap: Duration = Duration.parse("24h")

    @property
    def names_service_accounts(self) -> bool:
        """Whether any rule is about ServiceAccounts."""
        return any(rule.service_accounts for rule in self.rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer:
    """What the Service asks of a load balancer."""

    class_name: Annotated[str, QUALIFIED] | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    source_ranges: Annotated[tuple[Annotated[str, CIDR], ...], Limit(64)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """What the Ingress, and the Service behind it, have besides the routes."""

    class_name: Annotated[str, DNS_SUBDOMAIN] | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    service_annotations: Mapping[str, str] = field(default_factory=dict)
    tls_secret_name: Annotated[str, DNS_SUBDOMAIN] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentRef:
    """A Gateway, and one of its listeners."""

    name: Annotated[str, DNS_SUBDOMAIN]
    namespace: Annotated[str, DNS_LABEL] | None = None
    section_name: Annotated[str, DNS_SUBDOMAIN] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Which Gateways carry the registry, and what the HTTPRoute has besides the routes."""

    parent_refs: Annotated[tuple[ParentRef, ...], AT_LEAST_ONE, Limit(8)]
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose:
    """How clients reach the registry."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "Ingress", "Gateway"] = "ClusterIP"
    hostnames: Annotated[tuple[Annotated[str, HOSTNAME], ...], Limit(16)] = ()
    node_port: Annotated[int, Range(1, 65535)] | None = None
    load_balancer: LoadBalancer | None = None
    ingress: Ingress | None = None
    gateway: Gateway | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GarbageCollection:
    """When unused data is removed, and how long it can come back."""

    schedule: Annotated[str, CRON] = "17 3 * * *"
    time_zone: Annotated[str, TIME_ZONE] = "UTC"
    suspend: bool = False
    push_lease: Duration = Duration.parse("24h")
    undelete_window: Duration = Duration.parse("24h")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """What is kept in some repositories; a rule that names nothing to keep by keeps all tags."""

    repositories: Annotated[tuple[Annotated[str, REPOSITORY_GLOB], ...], AT_LEAST_ONE, Limit(32)]
    keep_tags: Annotated[tuple[Annotated[str, TAG_GLOB], ...], Limit(32)] = ()
    keep_last: Annotated[int, Range(1, 1000)] | None = None
    keep_newer_than: Duration | None = None
    keep_pulled_within: Duration | None = None
    untagged_after: Duration | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImmutableTags:
    """Tags of some repositories that, once there, stay as they are."""

    repositories: Annotated[tuple[Annotated[str, REPOSITORY_GLOB], ...], AT_LEAST_ONE, Limit(32)]
    tags: Annotated[tuple[Annotated[str, TAG_GLOB], ...], AT_LEAST_ONE, Limit(32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The whole spec."""

    storage: Storage = field(default_factory=Storage)
    database: Database | None = None
    tls: Tls = field(default_factory=Tls)
    access: Access = field(default_factory=Access)
    consumers: Annotated[tuple[Consumer, ...], Limit(32)] = ()
    expose: Expose = field(default_factory=Expose)
    garbage_collection: GarbageCollection = field(default_factory=GarbageCollection)
    retention: Annotated[tuple[RetentionRule, ...], Limit(32)] = ()
    immutable_tags: Annotated[tuple[ImmutableTags, ...], Limit(32)] = ()
    quota: Quantity | None = None
    read_only: bool = False
    paused: bool = False
    version: Annotated[str, VERSION] | None = None
    pod: Pod = field(default_factory=Pod)
