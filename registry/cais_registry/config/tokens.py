# SPDX-License-Identifier: Apache-2.0
"""`tokens`: what a server needs to give out tokens of its own, checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cais_registry.config import durations
from cais_registry.config.errors import ConfigError
from cais_registry.config.strict import Strict

_SHORTEST: Final = timedelta(seconds=60)  # clients take what is shorter for a minute, and fail
_LONGEST: Final = timedelta(hours=1)
_LONGEST_SERVICE: Final = 255
_LONGEST_URL: Final = 2048
_HOST = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
)
_URL = re.compile(r"https?://[A-Za-z0-9\[][^\s\"\\#?]*")


class Tokens(Strict, frozen=True):
    """`tokens`: the token endpoint, beside passwords; without it there are only those.

    Attributes:
        key_file: Ed25519 private keys, PEM; the first one signs, all verify.
        service: What the registry calls itself to clients, and the audience of its tokens.
        lifetime: Go duration.
        realms: URL of the endpoint by the exact `Host` under which clients ask.
    """

    key_file: str
    service: str = "cais"
    lifetime: str = "5m"
    realms: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """How tokens are given out.

    Attributes:
        key_file: Private keys that sign and verify them.
        service: What the registry is called in challenges, and the audience of its tokens.
        lifetime: They are good for so long.
        realms: URL of the token endpoint by the `Host` under which a client asks.
    """

    key_file: str
    service: str
    lifetime: timedelta
    realms: Mapping[str, str]


def resolve(
    block: Tokens | None, *, has_users: bool, issuers: Collection[str]
) -> TokenSettings | None:
    """Make sense of the block; None without one.

    Args:
        block: As it is written.
        has_users: Whether there is a file of users.
        issuers: Other issuers of tokens; the service may not be one of them.

    Raises:
        ConfigError: If a value is not allowed.
    """
    if block is None:
        return None
    if not has_users:
        raise ConfigError(
            "tokens: needs auth.htpasswdFile; without users the registry is open to anyone"
        )
    if not _is_quotable(block.service, longest=_LONGEST_SERVICE):
        raise ConfigError(
            f"tokens.service: 1 to {_LONGEST_SERVICE} printable ASCII characters without spaces, "
            "quotes and backslashes"
        )
    if block.service in issuers:
        raise ConfigError("tokens.service: is the issuer of other tokens (access.issuers)")
    for host, realm in block.realms.items():
        _check_realm(host, realm)
    return TokenSettings(
        key_file=block.key_file,
        service=block.service,
        lifetime=_lifetime(block.lifetime),
        realms=block.realms,
    )


def _check_realm(host: str, realm: str) -> None:
    if len(host) > _LONGEST_URL or not _HOST.fullmatch(host):
        raise ConfigError(
            f"tokens.realms: {host[:80]!r} is not a host as clients send it, "
            "like registry.example.org or registry.example.org:5000"
        )
    if not _is_quotable(realm, longest=_LONGEST_URL) or not _URL.fullmatch(realm):
        raise ConfigError(
            f"tokens.realms: {realm[:80]!r} is not a URL of the token endpoint, "
            "like https://registry.example.org/token"
        )


def _is_quotable(text: str, *, longest: int) -> bool:
    """Whether a text can stand between the quotes of a header."""
    is_plain = text.isascii() and text.isprintable() and not set('"\\ ') & set(text)
    return is_plain and 0 < len(text) <= longest


def _lifetime(text: str) -> timedelta:
    try:
        found = durations.parse(text)
    except ConfigError as error:
        raise ConfigError(f"tokens.lifetime: {error}") from error
    if not _SHORTEST <= found <= _LONGEST:
        raise ConfigError(f"tokens.lifetime: {text[:40]!r} is not between 1m and 1h")
    return found
