# SPDX-License-Identifier: Apache-2.0
"""The part of the spec about the server's pods."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from cais_operator.resource.checks import DNS_SUBDOMAIN, Limit, Range
from cais_operator.resource.quantities import Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Requests and limits of the server's container; empty: the operator's defaults."""

    requests: Mapping[str, Quantity] = field(default_factory=dict)
    limits: Mapping[str, Quantity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What is handed on to the server's pods."""

    replicas: Annotated[int, Range(1, 32)] | None = None
    resources: Resources = field(default_factory=Resources)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Annotated[tuple[Mapping[str, Any], ...], Limit(32)] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    topology_spread_constraints: Annotated[tuple[Mapping[str, Any], ...], Limit(8)] = ()
    priority_class_name: Annotated[str, DNS_SUBDOMAIN] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
