# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.request import parse_http_list, parse_keqv_list


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Where tokens are to be had (the registry token protocol).

    Attributes:
        realm: URL of the token server.
        service: What it knows the registry as; None if not told.
    """

    realm: str
    service: str | None


def read_challenges(headers: Iterable[str]) -> tuple[Bearer | None, bool]:
    """Read `WWW-Authenticate` headers (RFC 9110, section 11.6.1), one challenge in each.

    Returns:
        The first good Bearer challenge, if any; and whether Basic is offered.
    """
    bearer, basic = None, False
    for header in headers:
        scheme, _, rest = header.strip().partition(" ")
        if scheme.lower() == "basic":
            basic = True
        elif scheme.lower() == "bearer" and bearer is None:
            bearer = _bearer(rest)
    return bearer, basic


def _bearer(rest: str) -> Bearer | None:
    try:
        found = parse_keqv_list([item for item in parse_http_list(rest) if "=" in item])
    except (ValueError, IndexError):
        return None
    fields = {name.strip().lower(): value for name, value in found.items()}
    realm = fields.get("realm")
    return None if not realm else Bearer(realm=realm, service=fields.get("service"))
