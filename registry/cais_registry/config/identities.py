# SPDX-License-Identifier: Apache-2.0
"""Issuers of tokens that are a login, and how rules name whom they speak of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal

from cais_registry.config import durations
from cais_registry.config.errors import ConfigError
from cais_registry.config.strict import Strict

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
"""Signatures by a private key; none that whoever checks could make (RFC 8725, 3.1)."""

SERVICE_ACCOUNT: Final = re.compile(
    r"system:serviceaccount:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?:[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?"
)
"""The user name that Kubernetes gives to a ServiceAccount."""

_WHOLE_NAMESPACE: Final = re.compile(
    r"system:serviceaccount:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?:\*"
)
_PREFIX: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_RESERVED: Final = "system"
_SHORTEST: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(hours=24)
_MOST_ISSUERS: Final = 16
_MOST_VALUES: Final = 32
_MOST_TEXT: Final = 512


class Issuer(Strict, frozen=True):
    """One of `access.issuers`: whoever shows a token (JWT) of it has logged in.

    Attributes:
        issuer: The claim `iss`, exactly.
        audiences: One of them has to be in the claim `aud`, exactly.
        jwks_file: File with the issuer's public keys (RFC 7517); its content is watched.
        kind: `kubernetes`: the subject is a ServiceAccount of the cluster, and is the user's name
            as it stands. `oidc`: the name is `prefix:subject`.
        prefix: Of `oidc`: tells its users from those of others.
        algorithms: Signatures that are taken.
        max_lifetime: A Go duration; tokens that are good for longer are refused, as the keys do
            not tell what was deleted or revoked since.
        claims: What further claims have to say: one of the values, `*` stands for any characters.
    """

    issuer: str
    audiences: tuple[str, ...]
    jwks_file: str
    kind: Literal["kubernetes", "oidc"] = "oidc"
    prefix: str | None = None
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256")
    max_lifetime: str = "1h"
    claims: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - msgspec copies it

    @property
    def lifetime(self) -> timedelta:
        """`max_lifetime`, checked by `check_issuers`."""
        return durations.parse(self.max_lifetime)


def check_issuers(issuers: Sequence[Issuer]) -> None:
    """Let issuers pass, or not.

    Raises:
        ConfigError: If a value is not allowed, or two of them cannot be told apart.
    """
    if len(issuers) > _MOST_ISSUERS:
        raise ConfigError(f"access.issuers: at most {_MOST_ISSUERS}")
    for index, one in enumerate(issuers):
        field = f"access.issuers[{index}]"
        _check_texts(f"{field}.issuer", (one.issuer,))
        _check_texts(f"{field}.audiences", one.audiences)
        _check_prefix(field, one)
        _check_lifetime(f"{field}.maxLifetime", one.max_lifetime)
        if not one.algorithms:
            raise ConfigError(f"{field}.algorithms: names none; leave it out for RS256 and ES256")
        for claim, values in one.claims.items():
            _check_texts(f"{field}.claims.{claim[:80]}", values)
    for name, keys in (
        ("issuer", [one.issuer for one in issuers]),
        ("prefix", [one.prefix for one in issuers]),  # None is the cluster's, of which one is
    ):
        if len(set(keys)) < len(keys):
            raise ConfigError(f"access.issuers: two of them have the same {name}")


def _check_prefix(field: str, issuer: Issuer) -> None:
    if issuer.kind == "kubernetes":
        if issuer.prefix is not None:
            raise ConfigError(f"{field}.prefix: not with kind kubernetes, whose names have one")
        return
    prefix = issuer.prefix or ""
    if not _PREFIX.fullmatch(prefix) or prefix == _RESERVED:
        raise ConfigError(
            f"{field}.prefix: {prefix[:80]!r} is not a-z, 0-9 and - between them, at most 63 "
            f"characters, and not {_RESERVED}; names of users are PREFIX:SUBJECT"
        )


def _check_lifetime(field: str, text: str) -> None:
    try:
        found = durations.parse(text)
    except ConfigError as error:
        raise ConfigError(f"{field}: {error}") from error
    if not _SHORTEST <= found <= _LONGEST:
        raise ConfigError(f"{field}: {text[:40]!r} is not between 1s and 24h")


def _check_texts(field: str, texts: Sequence[str]) -> None:
    if not 0 < len(texts) <= _MOST_VALUES:
        raise ConfigError(f"{field}: names none, or more than {_MOST_VALUES}")
    for text in texts:
        if not 0 < len(text) <= _MOST_TEXT or not text.isprintable():
            raise ConfigError(
                f"{field}: {text[:80]!r} is not printable text of 1 to {_MOST_TEXT} characters"
            )


def check_names(field: str, names: Sequence[str], issuers: Sequence[Issuer]) -> None:
    """Let the names of a rule pass, or not.

    Args:
        field: Where they are, for the message.
        names: `system:serviceaccount:NAMESPACE:NAME`, where NAME may be `*`, or
            `PREFIX:SUBJECT`, where `*` in the subject stands for any characters.
        issuers: All of them; a name that none of them gives is a mistake.

    Raises:
        ConfigError: If one is something else.
    """
    prefixes = {one.prefix for one in issuers if one.kind == "oidc"}
    has_cluster = any(one.kind == "kubernetes" for one in issuers)
    for name in names:
        prefix, colon, subject = name.partition(":")
        if prefix == _RESERVED and has_cluster:
            is_known = any(form.fullmatch(name) for form in (SERVICE_ACCOUNT, _WHOLE_NAMESPACE))
        else:
            is_known = bool(colon and subject) and subject.isprintable() and prefix in prefixes
        if not is_known or len(name) > _MOST_TEXT:
            raise ConfigError(
                f"{field}: {name[:120]!r} is no name that access.issuers give: "
                "system:serviceaccount:NAMESPACE:NAME (* for every NAME) with kind kubernetes, "
                "PREFIX:SUBJECT (* for any characters of it) with kind oidc"
            )
