# SPDX-License-Identifier: Apache-2.0
"""Registries and their surroundings for tests of the operator; nothing here decides anything."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cais_operator import desired, pki
from cais_operator.certificates import Authority, Leaf
from cais_operator.credentials import Passwords, with_others
from cais_operator.names import Hosts
from cais_operator.resource import Key, Registry, parse
from cais_operator.settings import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = Settings()


async def nobody_else(_kind: str, _key: Key) -> None:
    """No other installation is there."""


WAY = desired.Way(host="team.team-a.svc")
HOSTS = Hosts(dns=("team.team-a.svc", "registry.example.com"), ips=("10.96.7.7",))


def body(
    spec: Mapping[str, Any] | None = None,
    *,
    name: str = "team",
    status: Mapping[str, Any] | None = None,
    generation: int = 1,
) -> dict[str, Any]:
    """A Registry as the API server returns it."""
    metadata = {
        "name": name,
        "namespace": "team-a",
        "uid": f"uid-of-{name}",
        "resourceVersion": "7",
        "generation": generation,
    }
    return {"metadata": metadata, "spec": dict(spec or {}), "status": dict(status or {})}


def registry(spec: Mapping[str, Any] | None = None, **rest: Any) -> Registry:
    return parse(body(spec, **rest))


def with_volume(**volume: Any) -> dict[str, Any]:
    return {"storage": {"volume": volume}}


def with_users(*users: dict[str, Any], rules: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"access": {"users": list(users), "rules": list(rules)}}


@cache
def authority() -> Authority:
    return pki.new_authority(name="Cais test", validity=timedelta(days=3650), now=NOW)


def leaf(
    wanted: Hosts = HOSTS,
    *,
    by: Authority | None = None,
    days: int = 90,
    at: datetime = NOW,
) -> Leaf:
    validity = timedelta(days=days)
    return pki.issue(by or authority(), wanted, name="team", validity=validity, now=at)


def secret(**texts: str) -> dict[str, Any]:
    """A Secret's body with the given texts; `tls_crt` is the key `tls.crt`."""
    data = {key.replace("_", "."): encoded(text) for key, text in texts.items()}
    return {"metadata": {"name": "secret"}, "data": data}


def replaced_password() -> dict[str, Any]:
    """The Secret of a generated password that was replaced, while the old one works, too."""
    passwords = Passwords(current="new", previous="old", until=NOW + timedelta(hours=24))
    return with_others(desired.admin_secret(registry(), SETTINGS, "new"), passwords)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decoded(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The data of a Secret as text."""
    return {key: base64.b64decode(text).decode() for key, text in manifest["data"].items()}
