# SPDX-License-Identifier: Apache-2.0
"""The keys that sign a registry's tokens: how they stand in a Secret, and take turns. Pure.

The server signs with the first key of its file and verifies with all of them. A new key is shown to
every server before one signs with it, and an old one goes when no token of it can be good.
"""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cais_operator.observed import Live

FILE = "keys"
EVERY = timedelta(days=30)
SHOWN = timedelta(hours=1)  # before it signs; files reach a pod within minutes
KEPT = timedelta(hours=2)  # after it has signed; tokens are good for at most one hour

_APART = timedelta(minutes=1)  # that clocks of two leaders may be

_ENTRY = re.compile(
    r"created (?P<created>\S+)\n"
    r"(?P<pem>-----BEGIN PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END PRIVATE KEY-----\n)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """One key.

    Attributes:
        created: Aware, UTC, whole seconds; later than it was made where it began to sign late, so
            that it is always `SHOWN` before that.
        pem: PKCS#8.
    """

    created: datetime
    pem: str = field(repr=False)


def text(keys: Iterable[TokenKey]) -> str:
    """Return the file of the keys, in their order; each stands below the time it was made."""
    return "".join(f"created {key.created.isoformat()}\n{key.pem}" for key in keys)


def known(secret: Live | None, now: datetime) -> tuple[TokenKey, ...]:
    """Read back the keys of a live Secret; none when anything in it was not written by us.

    Args:
        secret: The live one, or None.
        now: Aware, UTC; a key of the future would never sign, and never be followed by another.
    """
    data = (secret or {}).get("data") or {}
    try:
        found = base64.b64decode(data[FILE], validate=True).decode()
        keys = tuple(
            TokenKey(created=datetime.fromisoformat(entry["created"]), pem=entry["pem"])
            for entry in _ENTRY.finditer(found)
        )
    except (KeyError, ValueError):
        return ()
    is_ours = text(keys) == found and all(_was_made(key, now) for key in keys)
    return keys if is_ours else ()


def _was_made(key: TokenKey, now: datetime) -> bool:
    return key.created.tzinfo is not None and key.created <= now + _APART


def turned(
    keys: Sequence[TokenKey], now: datetime, make: Callable[[], TokenKey]
) -> tuple[TokenKey, ...]:
    """Return the keys that should be there now, the one that signs first.

    Args:
        keys: Those that are there, the one that signs first.
        now: Aware, UTC.
        make: Makes a new one; called when there is none, or the newest is `EVERY` old.
    """
    ordered = sorted(keys, key=lambda key: key.created)
    if not ordered or now - ordered[-1].created >= EVERY:
        ordered.append(make())
    shown = [key for key in ordered if now - key.created >= SHOWN]
    signing = shown[-1] if shown else ordered[0]
    newer = [key for key in ordered if key.created > signing.created]
    older = [key for key in ordered if key.created < signing.created]
    if shown and signing not in keys[:1]:  # it begins now, late if nobody looked for a while
        signing = replace(signing, created=now.replace(microsecond=0) - SHOWN)
    if now - signing.created >= SHOWN + KEPT:
        older.clear()
    return (signing, *newer, *reversed(older))


def turns(keys: Sequence[TokenKey]) -> Iterator[datetime]:
    """Yield when `turned` has something to do next with keys that it has returned.

    Args:
        keys: The one that signs first.
    """
    if not keys:
        return
    signing = keys[0].created
    yield max(key.created for key in keys) + EVERY
    yield from (key.created + SHOWN for key in keys if key.created > signing)
    if any(key.created < signing for key in keys):
        yield signing + SHOWN + KEPT
