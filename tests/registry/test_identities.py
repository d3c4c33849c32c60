# SPDX-License-Identifier: Apache-2.0
"""Whose tokens are a login, and with which keys they are checked."""

from __future__ import annotations

import json

import pytest

from cais_registry.config.identities import Issuer
from cais_registry.http import bearer, identities
from cais_registry.http.bearer import Bearer, Proved
from cais_registry.model.errors import Unauthorized
from support.issuer import AUDIENCE, ISSUER, NOW, PUSHER, elliptic, published, rsa, token
from support.issuers import CLUSTER, HUB, KEYS, checked_by, of_hub, said


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("good", "user"),
    [
        (token(said()), PUSHER),
        (token(said(aud=AUDIENCE)), PUSHER),
        (token(said(aud=["else", AUDIENCE])), PUSHER),
        (token(said(), elliptic()), PUSHER),
        (token(said(), typ=None), PUSHER),
        (token(said(), typ="at+jwt"), PUSHER),
        (token(said(nbf=None)), PUSHER),
        (token(said(iat=NOW - 3600, exp=NOW - 29)), PUSHER),
        (token(said(iat=NOW + 29, nbf=NOW + 29)), PUSHER),
        (token(said(exp=NOW + 3607)), PUSHER),
        (token(said(sub="system:serviceaccount:a-b:c.d-e")), "system:serviceaccount:a-b:c.d-e"),
        (of_hub(), "ci:repo:acme/app"),
        (of_hub(aud="other"), "ci:repo:acme/app"),
        (of_hub(ref="refs/tags/v1"), "ci:repo:acme/app"),
        (of_hub(sub=PUSHER), f"ci:{PUSHER}"),
    ],
)
def test_a_good_token_speaks_of_its_subject(good: str, user: str) -> None:
    assert checked_by(CLUSTER, HUB).verify(good).user == user


def test_the_lifetime_that_is_taken_can_be_another_one() -> None:
    short = Issuer(
        issuer=ISSUER,
        audiences=(AUDIENCE,),
        jwks_file="/keys",
        kind="kubernetes",
        max_lifetime="10m",
    )
    assert checked_by(short).verify(token(said(exp=NOW + 600))).user
    with pytest.raises(Unauthorized, match="longer than 10m"):
        checked_by(short).verify(token(said(exp=NOW + 3600)))


TOO_MANY = json.dumps({"keys": [{"kty": "RSA", "kid": str(at)} for at in range(65)]}).encode()
BROKEN_KEYS = {
    "empty": b"",
    "no JSON": b"{",
    "no set": b"[]",
    "no keys": b'{"keys": []}',
    "keys of another kind": b'{"keys": {"one": 1}}',
    "a key of another kind": b'{"keys": [1]}',
    "not UTF-8": b"\xff\xfe",
    "huge": b'{"keys": []}' + b" " * 65536,
    "deep": b"[" * 60000,
    "too many": TOO_MANY,
    "two of one name": published(rsa(), rsa("two")).replace(b'"two"', b'"one"'),
    "without names": published(rsa(), kid=None),
    "for encryption": published(rsa(), use="enc"),
    "for another algorithm": published(rsa(), alg="RS512"),
    "on another curve": published(elliptic("p384", "P-384")),
    "a secret": b'{"keys": [{"kty": "oct", "kid": "one", "k": "c2VjcmV0"}]}',
    "a private key": json.dumps({"keys": [rsa().as_dict(private=True)]}).encode(),
    "a weak key": published(rsa("weak", 1024)),
    "a broken key": b'{"keys": [{"kty": "RSA", "kid": "one", "n": "!", "e": "AQAB"}]}',
    "half a key": b'{"keys": [{"kty": "RSA", "kid": "one", "e": "AQAB"}]}',
    "an even exponent": published(rsa(), e="Ag"),
    "a point off the curve": published(elliptic(), x="AAAA"),
}


@pytest.mark.parametrize("content", BROKEN_KEYS.values(), ids=BROKEN_KEYS.keys())
def test_without_good_keys_every_token_of_the_issuer_is_refused(content: bytes) -> None:
    built = identities.build((CLUSTER, HUB), {**KEYS, "/keys": content})
    (words,) = built.problems.values()
    assert words.startswith("/keys: ")
    checks = checked_by(CLUSTER, HUB, keys={**KEYS, "/keys": content})
    with pytest.raises(Unauthorized, match="no keys of the token's issuer"):
        checks.verify(token(said()))
    assert checks.verify(of_hub()).user, "others are not touched"


def test_without_the_file_of_keys_every_token_of_the_issuer_is_refused() -> None:
    with pytest.raises(Unauthorized, match="no keys of the token's issuer"):
        checked_by(CLUSTER, keys={}).verify(token(said()))


def test_keys_for_something_else_are_no_harm() -> None:
    others = [
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "ed"},
        {"kty": "future", "kid": "pq"},
        {**rsa().as_dict(private=False), "use": "enc"},
        rsa("two").as_dict(private=False) | {"kid": None},
    ]
    keys = json.loads(published(rsa()))["keys"]
    content = json.dumps({"keys": others + keys, "more": 1}).encode()
    assert checked_by(CLUSTER, keys={"/keys": content}).verify(token(said())).user


class Counted:
    """Stands for a verifier; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def verify(self, _token: str) -> Proved:
        self.asked += 1
        return Proved(user=f"user-{self.asked}", until=NOW + 60)


def test_a_token_is_remembered_until_it_is_over() -> None:
    clock, counted = Clock(), Counted()
    checks = Bearer({ISSUER: counted}, clock=clock)
    good = token(said())
    assert [checks.verify(good).user for _ in range(3)] == ["user-1"] * 3
    assert checks.verify(token(said(jti="other"))).user == "user-2"
    clock.now += 60
    assert checks.verify(good).user == "user-3"
    assert checks.outcomes == {"success": 3}


def test_what_was_remembered_is_forgotten_with_its_keys() -> None:
    checks, good = checked_by(CLUSTER), token(said())
    assert checks.verify(good).user
    checks.replace(identities.build((CLUSTER,), {"/keys": published(rsa("new"))}).verifiers)
    with pytest.raises(Unauthorized):
        checks.verify(good)


def test_a_remembered_token_is_refused_once_it_has_expired() -> None:
    clock = Clock()
    checks, good = checked_by(CLUSTER, clock=clock), token(said())
    assert checks.verify(good).user
    clock.now += 3600 + identities.LEEWAY
    with pytest.raises(Unauthorized, match="expired"):
        checks.verify(good)


def test_memory_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bearer, "_REMEMBERED", 2)
    counted = Counted()
    checks = Bearer({ISSUER: counted}, clock=lambda: NOW)
    tokens = [token(said(jti=str(at))) for at in range(3)]
    for one in (*tokens, tokens[2], tokens[1], tokens[0]):
        checks.verify(one)
    assert counted.asked == 4


@pytest.mark.parametrize(
    ("password", "is_one"),
    [(token(said()), True), ("eyJ.b.c", False), ("x" * 80, False), ("eyJ" + "x" * 80, False)],
)
def test_a_password_that_can_only_be_a_token_is_told_apart(password: str, *, is_one: bool) -> None:
    assert bearer.is_token(password) is is_one
