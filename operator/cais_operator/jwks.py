# SPDX-License-Identifier: Apache-2.0
"""What an issuer of tokens publishes: its name, and its public keys (JWKS, RFC 7517). Pure.

As strict as the server: what it would refuse must not take the place of what it uses.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

LARGEST = 64 * 1024  # bytes of a document
ALGORITHMS = ("RS256", "ES256", "ES384", "ES512")  # that API servers sign with

_MOST_KEYS = 64
_MOST_ISSUER = 512  # characters
_RSA_BITS = range(2048, 4096 + 1)
_CURVES = ("P-256", "P-384", "P-521")
_BROKEN = (JoseError, ValueError, TypeError, KeyError, OverflowError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """An issuer as it speaks of itself.

    Attributes:
        issuer: Its name, the claim `iss` of its tokens.
        keys: Its public keys, JSON; the same keys are always the same text.
    """

    issuer: str
    keys: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuers:
    """What is known of the issuers that a Registry trusts; who is not there is unknown.

    Attributes:
        cluster: For ServiceAccounts.
        keys: Of the issuers of the spec, by name; the same text as in `Published`.
        marks: Of what was read last, by name, that of the cluster empty; see `issuer_marks`.
    """

    cluster: Published | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)


NOBODY = Issuers()


def published(discovery: bytes, keys: bytes) -> Published:
    """Read both documents of an API server.

    Args:
        discovery: `/.well-known/openid-configuration`.
        keys: `/openid/v1/jwks`.

    Raises:
        ValueError: When one is not what it should be; the message says which and why.
    """
    issuer = _object(discovery, "the issuer's description").get("issuer")
    if not isinstance(issuer, str) or not 0 < len(issuer) <= _MOST_ISSUER:
        raise ValueError("the issuer's description does not name the issuer")
    return Published(issuer=issuer, keys=canonical(keys))


def canonical(content: bytes) -> str:
    """Return the keys for signatures of `ALGORITHMS`, sorted by their names; nothing else of them.

    Raises:
        ValueError: When the set is none, too large, holds no such key, a private one, a weak one,
            or two of one name.
    """
    found = _object(content, "the set of keys").get("keys")
    if not isinstance(found, list) or len(found) > _MOST_KEYS:
        raise ValueError(f"the set of keys has no list of at most {_MOST_KEYS} keys")
    keys: dict[str, Any] = {}
    for one in found:
        if not isinstance(one, dict):
            raise ValueError("the set of keys holds something else")  # noqa: TRY004 - the document's fault
        if "d" in one:
            raise ValueError("the set of keys holds a private key")
        if not _serves(one):
            continue
        if one["kid"] in keys:
            raise ValueError(f"two keys have the kid {one['kid'][:80]!r}")
        keys[one["kid"]] = _checked(one)
    if not keys:
        raise ValueError(f"the set of keys has no key with a kid for {', '.join(ALGORITHMS)}")
    ordered = [keys[kid] for kid in sorted(keys)]
    return json.dumps({"keys": ordered}, indent=1, sort_keys=True) + "\n"


def _object(content: bytes, what: str) -> Mapping[str, Any]:
    if len(content) > LARGEST:
        raise ValueError(f"{what} has more than {LARGEST} bytes")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError(f"{what} is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError(f"{what} is not a JSON object")  # noqa: TRY004 - see above
    return found


def _serves(one: Mapping[str, Any]) -> bool:
    if not isinstance(one.get("kid"), str) or one.get("use", "sig") != "sig":
        return False
    if one.get("alg") is not None and one["alg"] not in ALGORITHMS:
        return False
    return one.get("kty") == "RSA" or (one.get("kty") == "EC" and one.get("crv") in _CURVES)


def _checked(one: Mapping[str, Any]) -> dict[str, Any]:
    name = f"the key {one['kid'][:80]!r}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about short keys: they are refused below
            key = JWKRegistry.import_key(dict(one))
            size = key.raw_value.key_size if isinstance(key, RSAKey) else None
    except _BROKEN as error:
        raise ValueError(f"{name} is broken") from error
    if not isinstance(key, RSAKey | ECKey) or (size is not None and size not in _RSA_BITS):
        raise ValueError(f"{name} has {size} bits, not {_RSA_BITS.start} to {_RSA_BITS.stop - 1}")
    kept = ("kid", "kty", "alg", "use", "n", "e", "crv", "x", "y")
    return {part: one[part] for part in kept if part in one}
