# SPDX-License-Identifier: Apache-2.0
"""The cases of `crd_cases` about who may log in."""

from typing import Any

from support.crd_case import Case, Spec


def _accounts(*accounts: dict[str, str], **rule: Any) -> Spec:
    named = {"serviceAccounts": list(accounts), "repositories": ["**"], "actions": ["pull"]}
    whole = {name: value for name, value in {**named, **rule}.items() if value is not None}
    return {"access": {"rules": [whole]}}


def _issuers(*issuers: dict[str, Any]) -> Spec:
    usual = {"name": "hub", "issuer": "https://ci.example.com", "jwksRef": {"name": "keys"}}
    return {"access": {"issuers": [{**usual, **issuer} for issuer in issuers]}}


ACCESS_CASES = (
    Case(
        message="rotationOverlap may be at most 8760h",
        accepted={"access": {"rotationOverlap": "0s"}},
        refused={"access": {"rotationOverlap": "8760h1s"}},
    ),
    Case(
        message="a rule may only name users of spec.access.users",
        accepted=_accounts({"namespace": "builds"}),
        refused=_accounts({"namespace": "builds"}, users=["nobody"]),
    ),
    Case(
        message="a rule must name users, serviceAccounts or identities",
        accepted=_accounts({"namespace": "builds", "name": "pusher"}),
        refused={"access": {"rules": [{"repositories": ["**"], "actions": ["pull"]}]}},
    ),
    Case(
        message="system is what Kubernetes calls its own",
        accepted=_issuers({}),
        refused=_issuers({"name": "system"}),
    ),
    Case(
        message="maxLifetime must be from 1s to 24h",
        accepted=_issuers({"maxLifetime": "24h"}),
        refused=_issuers({"maxLifetime": "24h1s"}),
    ),
    Case(
        message="maxLifetime must be from 1s to 24h",
        accepted=_issuers({"maxLifetime": "1s"}),
        refused=_issuers({"maxLifetime": "0s"}),
    ),
)
ACCESS_BROKEN: tuple[tuple[str, Spec], ...] = (
    ("spec.access.rules[0].actions", _accounts({"namespace": "builds"}, actions=[])),
    ("spec.access.rules[0].serviceAccounts", _accounts()),
    ("spec.access.rules[0].serviceAccounts[0].namespace", _accounts({"name": "pusher"})),
    ("spec.access.rules[0].serviceAccounts[0].namespace", _accounts({"namespace": "*"})),
    ("spec.access.rules[0].identities[0]", _accounts(identities=["hub"], serviceAccounts=None)),
    ("spec.access.issuers[0].issuer", _issuers({"issuer": ""})),
    ("spec.access.issuers[0].audiences", _issuers({"audiences": []})),
    (
        "spec.access.issuers[0].claims[0].values",
        _issuers({"claims": [{"name": "a", "values": []}]}),
    ),
    ("spec.access.issuers[1]", _issuers({}, {"issuer": "https://other.example.com"})),
    ("spec.access.rules[0].serviceAccounts[0].name", _accounts({"namespace": "a", "name": "*"})),
)
