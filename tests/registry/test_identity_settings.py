# SPDX-License-Identifier: Apache-2.0
"""How issuers of tokens, and whom they speak of, are configured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cais_registry.config import document, settings
from cais_registry.config.errors import ConfigError
from cais_registry.config.identities import Issuer
from cais_registry.config.settings import Flags
from cais_registry.model.names import RepoName
from cais_registry.services.access import Action, compile_rules

CLUSTER = {
    "issuer": "https://kubernetes.default.svc",
    "kind": "kubernetes",
    "audiences": ["https://team.team-a.svc:5000"],
    "jwksFile": "/keys",
}
HUB = {
    "issuer": "https://token.ci.example",
    "prefix": "ci",
    "audiences": ["registry"],
    "jwksFile": "/hub",
    "algorithms": ["RS256"],
    "maxLifetime": "15m",
    "claims": {"owner": ["acme"], "ref": ["refs/heads/*"]},
}


def resolved(*identities: str, issuers: Any = (CLUSTER, HUB)) -> settings.Settings:
    rule = {"identities": identities, "repositories": ["apps/**"], "actions": ["push"]}
    access = {"rules": [rule], "issuers": issuers}
    text = json.dumps({"auth": {"htpasswdFile": "f"}, "access": access})
    return settings.resolve(document.parse(text), Flags())


def test_issuers_are_read() -> None:
    cluster, hub = resolved().access.issuers
    assert cluster == Issuer(
        issuer="https://kubernetes.default.svc",
        kind="kubernetes",
        audiences=("https://team.team-a.svc:5000",),
        jwks_file="/keys",
    )
    assert (cluster.algorithms, cluster.lifetime.total_seconds()) == (("RS256", "ES256"), 3600)
    assert (hub.kind, hub.prefix, hub.lifetime.total_seconds()) == ("oidc", "ci", 900)
    assert hub.claims == {"owner": ("acme",), "ref": ("refs/heads/*",)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"issuer": ""}, r"access.issuers\[0\].issuer: '' is not printable text"),
        ({"issuer": "a\nb"}, "is not printable text"),
        ({"audiences": []}, r"access.issuers\[0\].audiences: names none"),
        ({"audiences": [""]}, "is not printable text"),
        ({"audiences": ["a"] * 33}, "more than 32"),
        ({"prefix": None}, r"access.issuers\[0\].prefix: '' is not a-z"),
        ({"prefix": "system"}, "and not system"),
        ({"prefix": "a:b"}, "'a:b' is not a-z"),
        ({"prefix": "a*"}, "is not a-z"),
        ({"prefix": "A"}, "is not a-z"),
        ({"kind": "kubernetes"}, "prefix: not with kind kubernetes"),
        ({"kind": "saml"}, r"access.issuers\[0\].kind: Invalid enum value 'saml'"),
        ({"algorithms": []}, "algorithms: names none"),
        ({"algorithms": ["HS256"]}, r"access.issuers\[0\].algorithms\[0\]: .*'HS256'"),
        ({"algorithms": ["none"]}, "'none'"),
        ({"maxLifetime": "soon"}, r"access.issuers\[0\].maxLifetime: 'soon' is not a duration"),
        ({"maxLifetime": "0s"}, "is not between 1s and 24h"),
        ({"maxLifetime": "25h"}, "is not between 1s and 24h"),
        ({"claims": {"owner": []}}, r"access.issuers\[0\].claims.owner: names none"),
        ({"claims": {"owner": "acme"}}, "access.issuers.*claims"),
        ({"jwksUrl": "https://a"}, "jwksUrl"),
    ],
)
def test_an_issuer_that_is_not_allowed_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        resolved(issuers=[{**HUB, **change}])


@pytest.mark.parametrize(
    ("issuers", "words"),
    [
        ([HUB, {**HUB, "prefix": "other"}], "the same issuer"),
        ([HUB, {**HUB, "issuer": "https://other.example"}], "the same prefix"),
        ([CLUSTER, {**CLUSTER, "issuer": "https://other.example"}], "the same prefix"),
        (
            [{**HUB, "issuer": f"https://{at}", "prefix": f"a{at}"} for at in range(17)],
            "at most 16",
        ),
    ],
)
def test_issuers_differ_and_are_not_too_many(issuers: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        resolved(issuers=issuers)


@pytest.mark.parametrize(
    "name",
    [
        "pusher",
        "*",
        ":x",
        "ci:",
        "cj:repo",
        "c*:repo",
        "system:serviceaccount",
        "system:serviceaccount:builds",
        "system:serviceaccount:*:pusher",
        "system:serviceaccount:builds:p*",
        "system:serviceaccount:builds:**",
        "system:serviceaccount:Builds:pusher",
        "system:node:a",
        "system:*",
        "ci:line\n",
        "ci:" + "x" * 512,
    ],
)
def test_a_name_that_no_issuer_gives_is_a_mistake(name: str) -> None:
    with pytest.raises(ConfigError, match=r"access.rules\[0\].identities"):
        resolved(name)


def test_service_accounts_need_the_issuer_of_the_cluster() -> None:
    with pytest.raises(ConfigError, match=r"access.rules\[0\].identities"):
        resolved("system:serviceaccount:builds:pusher", issuers=[HUB])


@pytest.mark.parametrize(
    ("rule", "user", "may"),
    [
        ("system:serviceaccount:builds:pusher", "system:serviceaccount:builds:pusher", True),
        ("system:serviceaccount:builds:pusher", "system:serviceaccount:builds:other", False),
        ("system:serviceaccount:builds:pusher", "system:serviceaccount:tests:pusher", False),
        ("system:serviceaccount:builds:*", "system:serviceaccount:builds:other", True),
        ("system:serviceaccount:builds:*", "system:serviceaccount:builds2:other", False),
        ("ci:repo:acme/*", "ci:repo:acme/app", True),
        ("ci:repo:acme/*", "ci:repo:acme2/app", False),
        ("ci:repo:acme/app", "ci:repo:acme/app2", False),
        ("ci:*", "system:serviceaccount:builds:pusher", False),
        ("ci:*", "ci", False),
        ("ci:admin", "admin", False),
    ],
)
def test_a_rule_holds_for_whom_it_names(rule: str, user: str, *, may: bool) -> None:
    rules = compile_rules(resolved(rule).access)
    assert rules.allows(user, Action.PUSH, RepoName.parse("apps/x")) is may


def test_everyone_with_a_password_is_not_everyone_with_a_token() -> None:
    access = document.Access(
        rules=(document.Rule(users=("*",), repositories=("**",), actions=("pull",)),)
    )
    rules = compile_rules(access)
    repo = RepoName.parse("apps/x")
    assert rules.allows("ci", Action.PULL, repo)
    assert not rules.allows("ci:repo:acme/app", Action.PULL, repo)
    assert not rules.allows("system:serviceaccount:builds:pusher", Action.PULL, repo)
