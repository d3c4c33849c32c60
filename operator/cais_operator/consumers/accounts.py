# SPDX-License-Identifier: Apache-2.0
"""Accounts of consumers: which passwords were issued, and which of them may be used until when.

They stand in one Secret of the Registry's namespace, `NAME-access`, and nowhere else are they read
from: the Secret in the consumer's namespace is a copy, whatever it holds. Pure; time and new
passwords come in as arguments.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cais_operator.observed import Live
from cais_operator.resource import Rotation

KEY = "accounts"  # of the Secret
_UNREADABLE = (KeyError, OverflowError, RecursionError, TypeError, ValueError)
_PASSWORD = re.compile("[A-Za-z0-9]{16,72}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One password.

    Attributes:
        password: In clear; whoever reads it may read the Registry's own passwords beside it.
        issued: When it was made; aware, UTC.
        live: Whether the server is known to take it.
        until: When it ends; None while it is the newest, or the newer one is not delivered.
    """

    password: str = field(repr=False)
    issued: datetime
    live: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account of one RegistryAccess.

    Attributes:
        uid: Of the RegistryAccess; another one of its name gets an account of its own.
        generation: Of the spec whose rule the server is to have.
        loaded: Of the spec whose rule the server is known to have; 0 before the first.
        credentials: The newest first, two at most.
    """

    uid: str
    generation: int
    loaded: int = 0
    credentials: tuple[Credential, ...] = ()


def renewed(  # noqa: PLR0913 - what an account follows from
    before: Account | None,
    *,
    uid: str,
    generation: int,
    rotation: Rotation,
    now: datetime,
    draw: Callable[[], str],
) -> Account:
    """Return the account as it should be now: ended passwords gone, a new one when it is time.

    While two passwords work no third is made: the older one has to end first.

    Args:
        before: What there is; None for a new account.
        uid: Of the RegistryAccess.
        generation: Of its spec.
        rotation: Of its spec.
        now: Aware, UTC.
        draw: Returns a new password.
    """
    if before is None or before.uid != uid:
        before = Account(uid=uid, generation=generation)
    kept = tuple(one for one in before.credentials if one.until is None or now < one.until)
    if (
        not kept
        or kept[0].until is not None
        or (len(kept) == 1 and _is_old(kept[0], rotation, now))
    ):
        kept = (Credential(password=draw(), issued=now), *kept[:1])
    return replace(before, generation=generation, credentials=kept)


def loaded(before: Account) -> Account:
    """Return the account after the server was seen with everything it should have."""
    credentials = tuple(replace(one, live=True) for one in before.credentials)
    return replace(before, loaded=before.generation, credentials=credentials)


def delivered(before: Account, overlap: timedelta, now: datetime) -> Account:
    """Return the account after its newest live password reached the consumer's Secret.

    What is older ends after the overlap; what already has an end keeps it.
    """
    live = [at for at, one in enumerate(before.credentials) if one.live]
    credentials = tuple(
        replace(one, until=now + overlap) if live and live[0] < at and one.until is None else one
        for at, one in enumerate(before.credentials)
    )
    return replace(before, credentials=credentials)


def turned(before: Account, now: datetime, draw: Callable[[], str]) -> Account:
    """Return the account with a new password on its way, because somebody asked for one.

    While one is on its way already nothing changes. Of two that work the older one ends at once:
    who asks twice has ended the password that was there at first.
    """
    newest = before.credentials[0]
    if not newest.live:
        return before
    made = Credential(password=draw(), issued=now)
    return replace(before, credentials=(made, replace(newest, until=None)))


def usable(account: Account) -> Credential | None:
    """Return the newest password that the server takes; None before the first."""
    return next((one for one in account.credentials if one.live), None)


def next_turn(account: Account, rotation: Rotation) -> datetime:
    """Return when something of the account has to be changed next."""
    ends = [one.until for one in account.credentials if one.until is not None]
    newest = account.credentials[0].issued + rotation.every.delta
    return min(ends) if ends else newest


def passwords(issued: Mapping[str, Account]) -> dict[str, tuple[str, ...]]:
    """Return the passwords that the server should take, by user name."""
    return {user: tuple(one.password for one in it.credentials) for user, it in issued.items()}


def is_account(user: str) -> bool:
    """Tell whether a user of the server is the account of a RegistryAccess."""
    return "@" in user  # see `names.account`


def read(secret: Live | None) -> dict[str, Account]:
    """Read the accounts of a live Secret, by user name; each that is unreadable is left out."""
    try:
        found = json.loads(base64.b64decode((secret or {})["data"][KEY]))
        entries = [(user, _readable(one)) for user, one in found.items()]
    except (AttributeError, *_UNREADABLE):
        return {}
    return {user: account for user, account in entries if account is not None}


def text(accounts: Mapping[str, Account]) -> str:
    """Return what `read` reads."""
    found = {
        user: {
            "uid": account.uid,
            "generation": account.generation,
            "loaded": account.loaded,
            "credentials": [dict(_written(one)) for one in account.credentials],
        }
        for user, account in accounts.items()
    }
    return json.dumps(found, sort_keys=True)


def _is_old(newest: Credential, rotation: Rotation, now: datetime) -> bool:
    return newest.live and now >= newest.issued + rotation.every.delta


def _readable(found: Any) -> Account | None:  # noqa: ANN401 - any JSON value
    try:
        return _account(found)
    except _UNREADABLE:
        return None


def _account(found: Mapping[str, Any]) -> Account:
    credentials = tuple(_credential(one) for one in found["credentials"])
    return Account(
        uid=str(found["uid"]),
        generation=int(found["generation"]),
        loaded=int(found["loaded"]),
        credentials=credentials[:2],
    )


def _credential(found: Mapping[str, Any]) -> Credential:
    if not _PASSWORD.fullmatch(found["password"]):
        raise ValueError("not a password that was issued here")
    until = found.get("until")
    return Credential(
        password=found["password"],
        issued=_time(found["issued"]),
        live=found.get("live") is True,
        until=None if until is None else _time(until),
    )


def _time(stamp: str) -> datetime:
    found = datetime.fromisoformat(stamp)
    if found.tzinfo is None:
        raise ValueError("a time without a zone")
    return found


def _written(one: Credential) -> Iterator[tuple[str, object]]:
    yield "password", one.password
    yield "issued", one.issued.isoformat()
    yield "live", one.live
    if one.until is not None:
        yield "until", one.until.isoformat()
