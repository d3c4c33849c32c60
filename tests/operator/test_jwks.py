# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from cais_operator import jwks
from cais_registry.http import jwks as server_jwks
from support.issuer import elliptic, published, rsa

DISCOVERY = b'{"issuer": "https://kubernetes.default.svc", "jwks_uri": "https://10.0.0.1/keys"}'


def test_an_issuer_is_read_with_its_keys() -> None:
    found = jwks.published(DISCOVERY, published(rsa()))
    assert found.issuer == "https://kubernetes.default.svc"
    assert [key["kid"] for key in json.loads(found.keys)["keys"]] == ["one"]


@pytest.mark.parametrize(
    "discovery",
    [b"", b"[]", b"{}", b'{"issuer": 1}', b'{"issuer": ""}', b"[" * 60000, b" " * 70000, b"\xff"],
)
def test_a_description_that_names_no_issuer_is_refused(discovery: bytes) -> None:
    with pytest.raises(ValueError, match="the issuer's description"):
        jwks.published(discovery, published(rsa()))


def test_the_same_keys_are_the_same_text_in_any_order_with_anything_beside_them() -> None:
    plain = jwks.canonical(published(rsa(), elliptic()))
    assert (
        jwks.canonical(published(elliptic(), rsa(), x5c=["A" * 100], extra={"deep": []})) == plain
    )
    assert jwks.canonical(plain.encode()) == plain
    assert jwks.canonical(published(rsa())) != plain


def test_keys_for_something_else_are_left_out() -> None:
    others: list[dict[str, Any]] = [
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "ed"},
        {**rsa("two").as_dict(private=False), "use": "enc"},
        {**rsa("two").as_dict(private=False), "alg": "RSA-OAEP"},
        {**rsa("two").as_dict(private=False), "kid": None},
    ]
    keys = json.loads(published(rsa()))["keys"]
    content = json.dumps({"keys": others + keys}).encode()
    assert jwks.canonical(content) == jwks.canonical(published(rsa()))


BROKEN = {
    "empty": b"",
    "no set": b"[]",
    "no list": b'{"keys": {}}',
    "no keys": b'{"keys": []}',
    "no object": b'{"keys": [1]}',
    "not UTF-8": b"\xff",
    "deep": b"[" * 60000,
    "huge": published(rsa(), x5c=["A" * 70000]),
    "too many": json.dumps({"keys": [{"kid": str(at)} for at in range(65)]}).encode(),
    "two of one name": published(rsa(), rsa("two")).replace(b'"two"', b'"one"'),
    "a private key": json.dumps({"keys": [rsa().as_dict(private=True)]}).encode(),
    "a weak key": published(rsa("weak", 1024)),
    "a broken key": b'{"keys": [{"kty": "RSA", "kid": "one", "n": "!", "e": "AQAB"}]}',
    "half a key": b'{"keys": [{"kty": "EC", "crv": "P-256", "kid": "one", "x": "AAAA"}]}',
    "a point off the curve": published(elliptic(), x="AAAA"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_what_the_server_would_refuse_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"the set of keys|the key|two keys"):
        jwks.canonical(content)
    with pytest.raises(server_jwks.UnusableKeysError):
        server_jwks.parse(content, jwks.ALGORITHMS)


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_what_is_taken_the_server_takes(curve: str) -> None:
    text = jwks.canonical(published(rsa(), elliptic(curve, curve)))
    assert set(server_jwks.parse(text.encode(), jwks.ALGORITHMS)) == {"one", curve}
