# SPDX-License-Identifier: Apache-2.0
"""Tokens (JWT, RFC 7519): which issuer they claim picks who checks them."""

from __future__ import annotations

import binascii
import hashlib
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from cais_registry.http.grants import Grant
from cais_registry.model.errors import Unauthorized

MOST_BYTES: Final = 8192
"""Of a token; that of a pod has about 1200."""

_LEAST_BYTES: Final = 73  # one more than a password can have
_REMEMBERED: Final = 1024


class Proved(msgspec.Struct, frozen=True, kw_only=True):
    """What a token proves, once everything about it was checked.

    Attributes:
        user: Name for rules, logs and ownership; None for someone anonymous.
        until: When it is over, in seconds since 1970.
        grant: What it is good for, of a token of this registry; None for one that is a login.
    """

    user: str | None
    until: float
    grant: Grant | None = None


class TokenVerifier(Protocol):
    """Checks the tokens of one issuer."""

    def verify(self, token: str) -> Proved:
        """Check a token wholly: signature, issuer, audience, times and claims.

        Raises:
            Unauthorized: If anything about it is wrong; the message holds nothing of the token.
        """
        ...


class Bearer:
    """Tells whom a token speaks of.

    A token that was verified is remembered as a keyed hash, never as itself, until it is over, or
    until other verifiers come: keys, issuers and claims may be others then.

    Attributes:
        outcomes: How many tokens were good or bad; one that is remembered is none.
    """

    def __init__(
        self,
        verifiers: Mapping[str, TokenVerifier] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start with these verifiers.

        Args:
            verifiers: By the claim `iss`.
            clock: Seconds since 1970.
        """
        self._verifiers = verifiers or {}
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._proved: OrderedDict[bytes, Proved] = OrderedDict()
        self.outcomes: Counter[str] = Counter()

    def replace(self, verifiers: Mapping[str, TokenVerifier]) -> None:
        """Take other verifiers from now on; what was verified is forgotten."""
        self._verifiers = verifiers
        self._proved.clear()

    def verify(self, token: str) -> Proved:
        """Check a token.

        Raises:
            Unauthorized: If it proves nothing here; the message says why, and nothing of the token.
        """
        secret = token.encode()
        fingerprint = hashlib.blake2b(secret, key=self._key, digest_size=32).digest()
        found = self._proved.get(fingerprint)
        if found is not None and self._clock() < found.until:
            self._proved.move_to_end(fingerprint)
            return found
        try:
            found = self._verifier(secret).verify(token)
        except Unauthorized:
            self.outcomes["failure"] += 1
            raise
        self.outcomes["success"] += 1
        self._proved[fingerprint] = found
        while len(self._proved) > _REMEMBERED:
            self._proved.popitem(last=False)
        return found

    def _verifier(self, token: bytes) -> TokenVerifier:
        """Whoever checks tokens of the issuer that this one claims to be of."""
        if len(token) > MOST_BYTES:
            raise Unauthorized(f"the token is longer than {MOST_BYTES} bytes")
        verifier = self._verifiers.get(_claimed_issuer(token))
        if verifier is None:
            raise Unauthorized("tokens of this issuer are not taken here (claim iss)")
        return verifier


def is_token(password: str) -> bool:
    """Tell whether a password can only be a token: no password is as long, or looks like it."""
    is_jwt = password.startswith("eyJ") and password.count(".") == 2  # noqa: PLR2004 - RFC 7515
    return is_jwt and len(password) >= _LEAST_BYTES


class _Claim(msgspec.Struct):
    iss: str


def _claimed_issuer(token: bytes) -> str:
    _, _, rest = token.partition(b".")
    claims, _, _ = rest.partition(b".")
    padded = claims.replace(b"-", b"+").replace(b"_", b"/") + b"=" * (-len(claims) % 4)
    try:
        return msgspec.json.decode(binascii.a2b_base64(padded), type=_Claim).iss
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unauthorized("the token is not a JWT with an issuer (claim iss)") from error
