# SPDX-License-Identifier: Apache-2.0
"""Tokens of Kubernetes and of other issuers (OpenID Connect), checked with their public keys.

RFC 7519 and its best practice, RFC 8725. Imported only where issuers are configured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from cais_registry.config.identities import SERVICE_ACCOUNT, Issuer
from cais_registry.http import jwks
from cais_registry.http.bearer import Proved, TokenVerifier
from cais_registry.model.errors import Unauthorized
from cais_registry.model.globs import matches_text

LEEWAY: Final = 30
"""Seconds that clocks may differ."""

_REFUSED_HEADERS: Final = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "enc", "zip"})
"""Keys come from the configuration alone, and no extension is understood (RFC 8725, 3.5)."""

_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_MALFORMED: Final = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What a library stumbles over in the bytes of a stranger."""

_MOST_NAME: Final = 255
_CLAIM_WORDS: Final = {
    "aud": "the token is for someone else: its audience (claim aud) is not this registry's",
    "nbf": "the token is not valid yet (claim nbf)",
    "iat": "the token was issued in the future (claim iat)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """Verifiers, and what is wrong with the keys of some.

    Attributes:
        verifiers: By the claim `iss`; one whose keys cannot be used refuses every token.
        problems: By the file of the keys.
    """

    verifiers: Mapping[str, TokenVerifier] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


def build(
    issuers: tuple[Issuer, ...],
    keys: Mapping[str, bytes],
    clock: Callable[[], float] = time.time,
) -> Built:
    """Prepare for checking tokens.

    Args:
        issuers: As configured.
        keys: Content of the files with keys, by path; one that cannot be read is not there.
        clock: Seconds since 1970.
    """
    verifiers: dict[str, TokenVerifier] = {}
    problems: dict[str, str] = {}
    for issuer in issuers:
        usable: Mapping[str, jwks.PublicKey] = {}
        if issuer.jwks_file in keys:
            try:
                usable = jwks.parse(keys[issuer.jwks_file], issuer.algorithms)
            except jwks.UnusableKeysError as error:
                problems[issuer.jwks_file] = f"{issuer.jwks_file}: {error}"
        verifiers[issuer.issuer] = Verifier(issuer, usable, clock)
    return Built(verifiers=verifiers, problems=problems)


class Verifier:
    """Checks the tokens of one issuer."""

    def __init__(
        self, issuer: Issuer, keys: Mapping[str, jwks.PublicKey], clock: Callable[[], float]
    ) -> None:
        self._issuer = issuer
        self._keys = keys
        self._registry = JWSRegistry(algorithms=issuer.algorithms, strict_check_header=False)
        self._longest = issuer.lifetime.total_seconds() + LEEWAY
        self._claims = JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=LEEWAY,
            iss={"essential": True, "value": issuer.issuer},
            aud={"essential": True, "values": list(issuer.audiences)},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )

    def verify(self, token: str) -> Proved:
        """See `bearer.TokenVerifier`."""
        if not self._keys:
            raise Unauthorized("this registry has no keys of the token's issuer at the moment")
        claims = self._signed(token)
        self._check_claims(claims)
        return Proved(user=self._name(claims["sub"]), until=float(claims["exp"]) + LEEWAY)

    def _signed(self, token: str) -> dict[str, Any]:
        """The claims, once their signature was checked."""
        try:
            signed = jws.extract_compact(token.encode(), registry=self._registry)
            key = self._key(signed.headers())
            is_good = jws.validate_compact(signed, key, registry=self._registry)
            claims = msgspec.json.decode(signed.payload, type=dict[str, Any])
        except (JoseError, msgspec.MsgspecError, *_MALFORMED) as error:
            raise Unauthorized("the token is not a signed JWT") from error
        if not is_good:
            raise Unauthorized("the token's signature is wrong")
        return claims

    def _key(self, header: Mapping[str, Any]) -> jwks.PublicKey:
        if header.get("alg") not in self._issuer.algorithms:
            allowed = ", ".join(self._issuer.algorithms)
            raise Unauthorized(f"the token is not signed with one of {allowed} (header alg)")
        if _REFUSED_HEADERS & set(header):
            raise Unauthorized("the token's header brings a key, or an extension (crit)")
        kind = header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise Unauthorized("the token is no login: its type (header typ) is not JWT")
        kid = header.get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise Unauthorized("the token's issuer has no key of the name in its header (kid)")
        return key

    def _check_claims(self, claims: dict[str, Any]) -> None:
        try:
            self._claims.validate(claims)
        except ExpiredTokenError as error:
            raise Unauthorized("the token has expired") from error
        except InvalidClaimError as error:
            words = "the token's claims iss, aud, sub, exp, iat or nbf are wrong"
            raise Unauthorized(_CLAIM_WORDS.get(error.claim, words)) from error
        except (JoseError, OverflowError) as error:
            raise Unauthorized("the token lacks one of the claims aud, sub, exp, iat") from error
        if not 0 < claims["exp"] - claims["iat"] <= self._longest:
            raise Unauthorized(
                f"the token is good for longer than {self._issuer.max_lifetime}; ask its issuer "
                "for one with a shorter life"
            )
        for claim, values in self._issuer.claims.items():
            said = claims.get(claim)
            if not isinstance(said, str) or not any(matches_text(one, said) for one in values):
                raise Unauthorized(f"the token's claim {claim[:80]} is not one that is asked for")

    def _name(self, subject: str) -> str:
        if self._issuer.kind == "kubernetes":
            name, is_good = subject, SERVICE_ACCOUNT.fullmatch(subject) is not None
        else:
            name = f"{self._issuer.prefix}:{subject}"
            is_good = bool(subject) and subject.isascii() and subject.isprintable()
        if not is_good or len(name) > _MOST_NAME:
            raise Unauthorized("the token's subject (claim sub) cannot be a user's name here")
        return name
