# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from cais_registry.config.errors import ConfigError
from cais_registry.services.sources import SourceRefused

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Whom one talks to: scheme, host and port. Credentials for one are not for another."""

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """Without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def check_not_weaker(self, other: Site) -> None:
        """Refuse to go from HTTPS to plain HTTP.

        Raises:
            SourceRefused: If `other` is that.
        """
        if (self.scheme, other.scheme) == ("https", "http"):
            raise SourceRefused(
                f"{self.host} sends from https to {other.url}, which anyone can read"
            )


def parse_source(url: str) -> Site:
    """Read the address of a registry, as a person gives it.

    Raises:
        ConfigError: If it is none; it is not repeated where it may hold a password.
    """
    parts = _split(url)
    if parts is None:
        raise ConfigError(f"--from {url[:80]!r} is not the URL of a registry")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("--from: no password in a URL, others can see it: --credentials-file")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError(
            f"--from {url[:80]!r}: name the host only; --repository names what to take"
        )
    return _site(parts)


def site_of(url: str) -> Site:
    """Whom an URL leads to that some registry has sent.

    Raises:
        SourceRefused: If it is none that can be followed.
    """
    parts = _split(url)
    if parts is None or parts.username is not None:
        raise SourceRefused(f"it leads to {url[:200]!r}, which cannot be followed")
    return _site(parts)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in _PORTS and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_good else None


def _site(parts: SplitResult) -> Site:
    port = parts.port or _PORTS[parts.scheme]
    return Site(scheme=parts.scheme, host=str(parts.hostname), port=port)
