# SPDX-License-Identifier: Apache-2.0
"""What attackers send as a token: each is refused, and for the reason that it should be."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from cais_registry.model.errors import Unauthorized
from support.issuer import (
    AUDIENCE,
    ISSUER,
    NOW,
    PUSHER,
    elliptic,
    encoded,
    encoded_bytes,
    forged,
    rsa,
    token,
)
from support.issuers import CLUSTER, HUB, checked_by, of_hub, said

MALLORY = rsa("one-of-mallory")
CURVE = elliptic("curve-of-mallory")
SMALL = {"kty": "RSA", "n": "AQAB", "e": "AQAB"}
GOOD = token(said())


def by_public_key() -> str:
    """The classic: HMAC with what everyone knows, the public key in PEM."""
    parts = f"{encoded({'alg': 'HS256', 'kid': 'one', 'typ': 'JWT'})}.{encoded(said())}"
    mac = hmac.digest(rsa().as_pem(private=False), parts.encode(), hashlib.sha256)
    return f"{parts}.{encoded_bytes(mac)}"


def subject(name: object) -> str:
    return token(said(sub=name))


def header(**fields: object) -> str:
    """A token whose header alone is of interest; nobody has signed it."""
    return forged({"alg": "RS256", "kid": "one", **fields}, said(), "AAAA")


DEEP = b'{"iss": "x", "y": ' + b"[" * 5000
ATTACKS = {
    "not a JWT with an issuer": {
        "not a token": "eyJ",
        "two parts": "eyJhIjoxfQ.eyJhIjoxfQ",
        "no JSON": "a.b.c",
        "no object": forged([], []),
        "no claims": forged({"alg": "RS256", "kid": "one"}, {}),
        "deep claims": f"eyJ.{encoded_bytes(DEEP)}.x",
        "no issuer": token(said(iss=None)),
        "issuer of another kind": token(said(iss=[ISSUER])),
        "end that is not a number": token(said(exp=float("nan"))),
        "end without end": token(said(exp=float("inf"))),
    },
    "longer than 8192 bytes": {"too long": token(said(more="x" * 9000))},
    "tokens of this issuer are not taken": {
        "foreign issuer": token(said(iss="https://evil.example")),
        "issuer with a slash more": token(said(iss=f"{ISSUER}/")),
        "issuer in other case": token(said(iss=ISSUER.upper())),
    },
    "not a signed JWT": {
        "five parts": f"{GOOD}.a.b",
        "a list of a name": forged(["alg"], said()),
        "a text as header": forged("alg", said()),
        "no alg": forged({"kid": "one"}, said()),
        "a long header": header(jwk=MALLORY.as_dict(private=False)),
        "half a payload that is not encoded": header(b64=False),
    },
    "not signed with one of RS256, ES256": {
        "alg none": forged({"alg": "none", "kid": "one"}, said()),
        "alg None": forged({"alg": "None", "kid": "one"}, said()),
        "alg none with a key": header(alg="none", jwk=SMALL),
        "alg of another kind": header(alg=["RS256"]),
        "HMAC with the public key": by_public_key(),
        "alg that is not configured": token(said(), alg="PS256"),
    },
    "brings a key, or an extension": {
        "jwk": token(said(), MALLORY, kid="one", jwk=SMALL),
        "jku": token(said(), MALLORY, kid="one", jku="https://evil.example/keys"),
        "x5u": token(said(), MALLORY, kid="one", x5u="https://evil.example/chain"),
        "x5c": token(said(), MALLORY, kid="one", x5c=["MIIB"]),
        "jwk of an elliptic key": token(said(), CURVE, kid="one", jwk=CURVE.as_dict(private=False)),
        "crit of an extension": header(crit=["exp"], exp=1),
        "crit of what is known": token(said(), crit=["kid"]),
        "crit of another kind": header(crit=5),
        "payload that is not encoded": header(b64=False, crit=["b64"]),
    },
    "its type (header typ) is not JWT": {
        "of a logout": token(said(), typ="logout+jwt"),
        "of another kind": header(typ=["JWT"]),
    },
    "has no key of the name": {
        "no kid": token(said(), kid=None),
        "unknown kid": token(said(), kid="two"),
        "kid as a path": token(said(), kid="../../one"),
        "kid of another kind": header(kid=1),
        "keys of another issuer": token(said(iss=HUB.issuer, aud="registry", owner="acme")),
        "key of another issuer": token(said(), elliptic("hub")),
    },
    "signature is wrong": {
        "signed by someone else": token(said(), MALLORY, kid="one"),
        "a changed claim": GOOD.replace(GOOD.split(".")[1], encoded(said(sub=f"{PUSHER}2"))),
        "no signature": GOOD.rsplit(".", 1)[0] + ".",
        "half a signature": GOOD[:-20],
        "signature of another token": ".".join((*GOOD.split(".")[:2], of_hub().split(".")[2])),
    },
    "not a signed": {"alg of another key": header(alg="ES256")},
    "its audience (claim aud) is not": {
        "foreign audience": token(said(aud=["https://other.team-a.svc:5000"])),
        "audience of the other issuer": token(said(aud="registry")),
        "audience as a part": token(said(aud=AUDIENCE + "0")),
        "audience in other case": token(said(aud=AUDIENCE.upper())),
        "audience of nobody": token(said(aud=[])),
        "audience of another kind": token(said(aud={"a": AUDIENCE})),
    },
    "lacks one of the claims": {
        "no audience": token(said(aud=None)),
        "no subject": subject(None),
        "no end": token(said(exp=None)),
        "no begin": token(said(iat=None)),
    },
    "the token has expired": {"expired": token(said(iat=NOW - 3600, exp=NOW - 31))},
    "not valid yet": {"not valid yet": token(said(nbf=NOW + 31))},
    "issued in the future": {"of the future": token(said(iat=NOW + 31, exp=NOW + 600))},
    "good for longer than 1h": {
        "too long a life": token(said(exp=NOW + 3600 + 31)),
        "a year": token(said(exp=NOW + 365 * 86400)),
        "begin long ago": token(said(iat=NOW - 365 * 86400, exp=NOW + 60)),
        "end before begin": token(said(iat=NOW + 20, exp=NOW - 20)),
    },
    "claims iss, aud, sub, exp, iat or nbf are wrong": {
        "end that is no number": token(said(exp="2030")),
        "end as truth": token(said(exp=True)),
        "empty subject": subject(""),
        "subject of another kind": subject([PUSHER]),
    },
    "subject (claim sub) cannot be a user's name": {
        "user as subject": subject("admin"),
        "a node as subject": subject("system:node:a"),
        "wildcard as subject": subject("system:serviceaccount:builds:*"),
        "line in the subject": subject(f"{PUSHER}\n"),
        "namespace in capitals": subject("system:serviceaccount:Builds:pusher"),
        "parts too many": subject(f"{PUSHER}:x"),
        "a name too long": subject("system:serviceaccount:builds:" + "a" * 240),
        "control character": of_hub(sub="repo\x1b[2J"),
        "beyond ASCII": of_hub(sub="repo:\N{CYRILLIC SMALL LETTER A}cme/app"),
    },
    "claim owner is not one": {
        "a claim that is missing": of_hub(owner=None),
        "a claim that differs": of_hub(owner="acme2"),
        "a claim in other case": of_hub(owner="Acme"),
        "a claim of another kind": of_hub(owner=["acme"]),
    },
    "claim ref is not one": {"what no pattern covers": of_hub(ref="refs/pull/1/merge")},
}
CASES = [
    pytest.param(attack, words, id=name)
    for words, attacks in ATTACKS.items()
    for name, attack in attacks.items()
]


@pytest.mark.parametrize(("attack", "words"), CASES)
def test_an_attackers_token_is_refused(attack: str, words: str) -> None:
    checks = checked_by(CLUSTER, HUB)
    with pytest.raises(Unauthorized) as caught:
        checks.verify(attack)
    assert words in str(caught.value)
    assert checks.outcomes == {"failure": 1}
    assert not {part for part in attack.split(".") if len(part) > 8 and part in str(caught.value)}
