# SPDX-License-Identifier: Apache-2.0
"""An issuer of tokens: keys, the set that it publishes, and tokens, good and bad."""

from __future__ import annotations

import base64
import json
import time
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
AUDIENCE: Final = "https://team.team-a.svc:5000"
PUSHER: Final = "system:serviceaccount:builds:pusher"
NOW: Final = 1_800_000_000.0
"""When tests with a clock of their own begin."""

ALGORITHMS: Final = ("RS256", "ES256", "ES384", "HS256", "PS256")


@cache
def rsa(kid: str = "one", bits: int = 2048) -> RSAKey:
    """A key, always the same one of a name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about short ones, which are what some tests want
        return RSAKey.generate_key(bits, {"kid": kid, "use": "sig"})


@cache
def elliptic(kid: str = "curve", curve: Any = "P-256") -> ECKey:
    """See `rsa`."""
    return ECKey.generate_key(curve, {"kid": kid})


def published(*keys: RSAKey | ECKey, **changes: Any) -> bytes:
    """What an issuer with these keys shows; `changes` go into each of them."""
    shown = [{**key.as_dict(private=False), **changes} for key in keys]
    return json.dumps({"keys": shown}).encode()


def claims(now: float | None = None, **changes: Any) -> dict[str, Any]:
    """What a pod's token says, but for `changes`; a claim that is None is left out."""
    begun = int(time.time() if now is None else now)
    found = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": PUSHER,
        "iat": begun,
        "nbf": begun,
        "exp": begun + 3600,
        "jti": "c0ffee",
        "kubernetes.io": {"namespace": "builds", "serviceaccount": {"name": "pusher"}},
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


def token(said: Mapping[str, Any] | None = None, key: Any = None, **header: Any) -> str:
    """A signed token.

    Args:
        said: Its claims; `claims()`.
        key: `rsa()`; the algorithm follows from it, if the header says nothing else.
        header: What the header says besides; None leaves it out.
    """
    key = rsa() if key is None else key
    usual = {"alg": "RS256" if isinstance(key, RSAKey) else "ES256", "kid": key.kid, "typ": "JWT"}
    complete = {name: value for name, value in {**usual, **header}.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    payload = json.dumps(claims() if said is None else said)
    return jws.serialize_compact(complete, payload, key, registry=registry)


def forged(header: Any, said: Any, signature: str = "") -> str:
    """Three parts that nobody has signed."""
    return ".".join((encoded(header), encoded(said), signature))


def encoded(value: Any) -> str:
    """JSON in Base64, as in a token."""
    return encoded_bytes(json.dumps(value).encode())


def encoded_bytes(value: bytes) -> str:
    """Bytes in Base64, as in a token."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
