# SPDX-License-Identifier: Apache-2.0
"""The part of the spec about issuers of tokens other than the cluster."""

from dataclasses import dataclass
from typing import Annotated

from cais_operator.resource.checks import (
    AT_LEAST_ONE,
    DNS_LABEL,
    DNS_SUBDOMAIN,
    SECRET_KEY,
    TEXT,
    Limit,
)
from cais_operator.resource.durations import Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class JwksRef:
    """One key of a ConfigMap in the Registry's namespace."""

    name: Annotated[str, DNS_SUBDOMAIN]
    key: Annotated[str, SECRET_KEY] = "jwks.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a claim of a token has to say: one of the values, with `*` for any characters."""

    name: Annotated[str, TEXT]
    values: Annotated[tuple[Annotated[str, TEXT], ...], AT_LEAST_ONE, Limit(16)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Whose tokens are a login; the names of its users are `name:subject`."""

    name: Annotated[str, DNS_LABEL]
    issuer: Annotated[str, TEXT]
    jwks_ref: JwksRef
    audiences: Annotated[tuple[Annotated[str, TEXT], ...], AT_LEAST_ONE, Limit(8)] = ()
    max_lifetime: Duration = Duration.parse("1h")
    claims: Annotated[tuple[Claim, ...], Limit(16)] = ()
