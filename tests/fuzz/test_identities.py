# SPDX-License-Identifier: Apache-2.0
"""No token and no set of keys leads anywhere but to a login or to a refusal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from cais_registry.http import jwks
from cais_registry.model.errors import Unauthorized
from support.fuzz_requests import TEXT, mutated
from support.issuer import PUSHER, elliptic, encoded_bytes, published, rsa, token
from support.issuers import CLUSTER, HUB, checked_by, of_hub, said

Search: TypeAlias = Callable[[Callable[[], None]], None]
HEADERS = st.sampled_from(
    [
        b'{"alg":"RS256","kid":"one"}',
        b'{"alg":"RS256","kid":"one","crit":["kid"],"jwk":{"kty":"RSA"},"b64":true,"typ":"JWT"}',
    ]
)
CLAIMS = st.sampled_from([b'{"iss":"https://kubernetes.default.svc.cluster.local","exp":1}'])
PARTS = st.builds(
    lambda *parts: ".".join(map(encoded_bytes, parts)),
    mutated(HEADERS),
    mutated(CLAIMS),
    mutated(st.just(b"x" * 256)),
)
GOOD = {token(said()): PUSHER, of_hub(): "ci:repo:acme/app"}


def test_tokens(search: Search) -> None:
    """Only the very tokens that were issued are a login."""
    whole = st.sampled_from([one.encode() for one in GOOD])

    @given(PARTS | mutated(whole).map(lambda one: one.decode("utf-8", "replace")) | TEXT)
    def prove(text: str) -> None:
        with suppress(Unauthorized):
            assert checked_by(CLUSTER, HUB).verify(text).user == GOOD[text]

    search(prove)


def test_keys(search: Search) -> None:
    shown = st.sampled_from([published(rsa(), elliptic()), published(elliptic("hub"))])

    @given(mutated(shown) | st.binary())
    def prove(content: bytes) -> None:
        with suppress(jwks.UnusableKeysError):
            assert jwks.parse(content, ("RS256", "ES256"))

    search(prove)
