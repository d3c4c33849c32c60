# SPDX-License-Identifier: Apache-2.0
"""The public keys of an issuer, as it publishes them (JWKS, RFC 7517)."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any, Final, TypeAlias

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

MOST_BYTES: Final = 64 * 1024
_MOST_KEYS: Final = 64
_RSA_BITS: Final = range(2048, 4096 + 1)
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_RSA: Final = ("RS", "PS")

PublicKey: TypeAlias = "RSAKey | ECKey"


class UnusableKeysError(ValueError):
    """A set of keys that is not taken; the message says what is wrong with it."""


class _Set(msgspec.Struct):
    keys: list[dict[str, Any]]


def parse(content: bytes, algorithms: Collection[str]) -> Mapping[str, PublicKey]:
    """Read the keys that signatures of these algorithms can be checked with, by their `kid`.

    Keys for something else, and those without a `kid`, are left out (RFC 7517, section 5); one
    that is broken or weak makes the whole set unusable, as nobody knows what else is wrong with it.

    Raises:
        UnusableKeysError: If the set is none, is too large, or holds no key, a private one, a weak
            one, or two of one name.
    """
    if len(content) > MOST_BYTES:
        raise UnusableKeysError(f"more than {MOST_BYTES} bytes")
    try:
        found = msgspec.json.decode(content, type=_Set).keys
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableKeysError('not a JWKS, like {"keys": [...]}') from error
    if len(found) > _MOST_KEYS:
        raise UnusableKeysError(f"more than {_MOST_KEYS} keys")
    keys: dict[str, PublicKey] = {}
    for one in found:
        _check_public(one)
        if not _serves(one, algorithms):
            continue
        kid = str(one["kid"])
        if kid in keys:
            raise UnusableKeysError(f"two keys have the kid {kid[:80]!r}")
        keys[kid] = _key(one, kid)
    if not keys:
        raise UnusableKeysError(f"no key with a kid for {', '.join(sorted(algorithms))}")
    return keys


def _check_public(one: Mapping[str, Any]) -> None:
    if "d" in one:
        raise UnusableKeysError("a private key is in it; whoever can read it can make tokens")


def _serves(one: Mapping[str, Any], algorithms: Collection[str]) -> bool:
    """Whether a key is for signatures of one of the algorithms, and can be found by its name."""
    if one.get("use", "sig") != "sig" or not isinstance(one.get("kid"), str):
        return False
    if one.get("alg") is not None and one["alg"] not in algorithms:
        return False
    if one.get("kty") == "EC":
        return _CURVES.get(str(one.get("crv"))) in algorithms
    return one.get("kty") == "RSA" and any(name.startswith(_RSA) for name in algorithms)


def _key(one: Mapping[str, Any], kid: str) -> PublicKey:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about short keys: they are refused below
            key = JWKRegistry.import_key(dict(one))
            size = key.raw_value.key_size if isinstance(key, RSAKey) else None
    except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise UnusableKeysError(f"the key {kid[:80]!r} is broken") from error
    if size is not None and size not in _RSA_BITS:
        raise UnusableKeysError(
            f"the key {kid[:80]!r} has {size} bits; "
            f"{_RSA_BITS.start} to {_RSA_BITS.stop - 1} are taken"
        )
    if not isinstance(key, RSAKey | ECKey):
        raise UnusableKeysError(f"the key {kid[:80]!r} is of another kind")
    return key
