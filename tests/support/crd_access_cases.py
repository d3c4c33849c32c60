# SPDX-License-Identifier: Apache-2.0
"""The cases of `crd_cases` about who logs in with a token."""

from typing import Any

from support.crd_case import Case, Spec


def _accounts(*accounts: dict[str, str], **rule: Any) -> Spec:
    named = {"serviceAccounts": list(accounts), "repositories": ["**"], "actions": ["pull"]}
    return {"access": {"rules": [{**named, **rule}]}}


ACCESS_CASES = (
    Case(
        message="a rule may only name users of spec.access.users",
        accepted=_accounts({"namespace": "builds"}),
        refused=_accounts({"namespace": "builds"}, users=["nobody"]),
    ),
    Case(
        message="a rule must name users or serviceAccounts",
        accepted=_accounts({"namespace": "builds", "name": "pusher"}),
        refused={"access": {"rules": [{"repositories": ["**"], "actions": ["pull"]}]}},
    ),
)
ACCESS_BROKEN: tuple[tuple[str, Spec], ...] = (
    ("spec.access.rules[0].actions", _accounts({"namespace": "builds"}, actions=[])),
    ("spec.access.rules[0].serviceAccounts", _accounts()),
    ("spec.access.rules[0].serviceAccounts[0].namespace", _accounts({"name": "pusher"})),
    ("spec.access.rules[0].serviceAccounts[0].namespace", _accounts({"namespace": "*"})),
    ("spec.access.rules[0].serviceAccounts[0].name", _accounts({"namespace": "a", "name": "*"})),
)
