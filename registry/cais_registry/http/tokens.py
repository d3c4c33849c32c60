# SPDX-License-Identifier: Apache-2.0
"""The registry's own tokens: JWTs (RFC 7519) that it signs, and that nobody else verifies."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cais_registry.http.bearer import MOST_BYTES, Proved
from cais_registry.http.errors import BadRequest
from cais_registry.http.grants import Access, grant_of
from cais_registry.model.errors import Unauthorized

if TYPE_CHECKING:  # imported where tokens are used: a registry without them has no need
    from joserfc.jwk import OKPKey
    from joserfc.jws import JWSRegistry

_ALGORITHM: Final = "Ed25519"  # RFC 9864
_HEADER: Final = {"alg", "kid", "typ"}
_MALFORMED: Final = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What a library stumbles over in the bytes of a stranger."""

_BEHIND: Final = 60  # seconds that the clock of another server of the same registry may be behind


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are given out.

    Attributes:
        service: Their audience, and who issues them.
        seconds: They are good for so long.
        realms: URL of the token endpoint by the `Host` under which a client asks.
    """

    service: str
    seconds: int
    realms: Mapping[str, str]


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A new token.

    Attributes:
        text: The token.
        at: When it was issued, in seconds since 1970.
        seconds: It is good for so long.
    """

    text: str
    at: int
    seconds: int


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    sub: str
    aud: str
    exp: int
    nbf: int
    iat: int
    jti: str
    access: tuple[Access, ...]


class Tokens:
    """Issues and verifies, with the keys of one moment.

    Attributes:
        terms: How tokens are given out.
    """

    def __init__(
        self, terms: Terms, keys: Sequence[bytes], *, clock: Callable[[], float] = time.time
    ) -> None:
        """Begin.

        Args:
            terms: How tokens are given out.
            keys: PEM; the first one signs, all verify.
            clock: Seconds since 1970.
        """
        from joserfc.jwk import OKPKey  # noqa: PLC0415 - see above

        found = [OKPKey.import_key(key) for key in keys]
        self._keys = {key.thumbprint(): key for key in found}
        self._rules = _rules()
        self._clock = clock
        self.terms = terms

    def issue(self, user: str | None, access: Sequence[Access], *, until: float | None) -> Issued:
        """Sign a token.

        Args:
            user: Of whom it is to be, None for someone anonymous.
            access: What it is to be good for.
            until: When what the user has logged in with is over, in seconds since 1970; None if
                that does not end by itself.

        Raises:
            BadRequest: If it would be longer than tokens may be.
        """
        from joserfc import jws  # noqa: PLC0415 - see above

        now = int(self._clock())
        end = now + self.terms.seconds
        end = end if until is None else min(end, int(until))
        claims = _Claims(
            iss=self.terms.service,
            sub=user or "",
            aud=self.terms.service,
            exp=end,
            nbf=now - _BEHIND,
            iat=now,
            jti=secrets.token_urlsafe(12),
            access=tuple(access),
        )
        kid, key = next(iter(self._keys.items()))
        header = {"alg": _ALGORITHM, "kid": kid, "typ": "JWT"}
        said = msgspec.json.encode(claims)
        text = jws.serialize_compact(header, said, key, registry=self._rules)
        if len(text) > MOST_BYTES:
            raise BadRequest(
                f"the token would be longer than {MOST_BYTES} bytes: ask for fewer scopes"
            )
        return Issued(text=text, at=now, seconds=end - now)

    def verify(self, token: str) -> Proved:
        """See `bearer.TokenVerifier`; there may be no such user any more."""
        claims = self._signed(token)
        service, now = self.terms.service, self._clock()
        if claims.iss != service or claims.aud != service:
            raise Unauthorized("the token is not for this registry")
        if not claims.nbf <= now < claims.exp:
            raise Unauthorized("the token has expired, or is not valid yet; ask for a new one")
        return Proved(user=claims.sub or None, until=claims.exp, grant=grant_of(claims.access))

    def _signed(self, token: str) -> _Claims:
        """The claims, once their signature was checked."""
        from joserfc import errors, jws  # noqa: PLC0415 - see above

        try:
            signed = jws.deserialize_compact(token, self._key_of, registry=self._rules)
            return msgspec.json.decode(signed.payload or b"", type=_Claims)
        except (errors.JoseError, msgspec.MsgspecError, *_MALFORMED) as error:
            raise Unauthorized(
                "the token was not signed by this registry; ask for a new one"
            ) from error

    def _key_of(self, token: Any) -> OKPKey:  # noqa: ANN401 - the type of the library
        """The key that a header names; whatever else a header says is a reason to refuse it."""
        header = token.headers()
        if header.keys() != _HEADER or header["typ"] != "JWT":
            raise Unauthorized("the token's header says more, or less, than alg, kid and typ")
        return self._keys[header["kid"]]


def _rules() -> JWSRegistry:
    from joserfc.jws import JWSRegistry  # noqa: PLC0415 - see above

    rules = JWSRegistry(algorithms=[_ALGORITHM])
    rules.max_payload_length = MOST_BYTES
    return rules
