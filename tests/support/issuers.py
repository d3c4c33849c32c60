# SPDX-License-Identifier: Apache-2.0
"""Two issuers that are configured, the cluster and a CI system, at a time that stands still."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cais_registry.config.identities import Issuer
from cais_registry.http import identities
from cais_registry.http.bearer import Bearer
from support.issuer import AUDIENCE, ISSUER, NOW, claims, elliptic, published, rsa, token

CLUSTER = Issuer(issuer=ISSUER, audiences=(AUDIENCE,), jwks_file="/keys", kind="kubernetes")
HUB = Issuer(
    issuer="https://token.ci.example",
    audiences=("registry", "other"),
    jwks_file="/hub",
    prefix="ci",
    claims={"owner": ("acme",), "ref": ("refs/heads/*", "refs/tags/v*")},
)
KEYS = {"/keys": published(rsa(), elliptic()), "/hub": published(elliptic("hub"))}


def checked_by(
    *issuers: Issuer, keys: dict[str, bytes] = KEYS, clock: Callable[[], float] = lambda: NOW
) -> Bearer:
    return Bearer(identities.build(issuers, keys, clock).verifiers, clock=clock)


def said(**changes: Any) -> dict[str, Any]:
    return claims(NOW, **changes)


def of_hub(**changes: Any) -> str:
    usual = {"sub": "repo:acme/app", "owner": "acme", "ref": "refs/heads/main"}
    changed = {**usual, "iss": HUB.issuer, "aud": "registry", **changes}
    return token(said(**changed), elliptic("hub"))
