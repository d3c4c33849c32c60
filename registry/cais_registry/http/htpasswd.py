# SPDX-License-Identifier: Apache-2.0
"""Files of users and bcrypt hashes, one `name:hash` a line; a user may have two of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

Users: TypeAlias = Mapping[str, tuple[bytes, ...]]
"""bcrypt hashes by name: each is of a password that lets the user in."""

MOST_HASHES: Final = 2
"""Of one user: the password that is, and the one that was or will be, while it is changed."""

MOST_PASSWORD_BYTES: Final = 72
"""bcrypt reads no more; longer passwords would be equal to their head."""

LEAST_COST: Final = 4
MOST_COST: Final = 14
"""A bcrypt cost above it would take seconds of a processor for every new client."""

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@+-]{0,126}[A-Za-z0-9])?")
_HASH: Final = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")


class HtpasswdError(ValueError):
    """The file cannot be taken; the message names the line, and no secret."""


def check_name(name: str) -> None:
    """Check the name of a user.

    Raises:
        HtpasswdError: If it is not one that is allowed.
    """
    if not _NAME.fullmatch(name):
        raise HtpasswdError(
            f"user name {name[:40]!r} is not allowed: letters, digits and . _ @ + - between them, "
            "at most 128 characters"
        )


def parse(text: str) -> Users:
    """Read users and their hashes; empty lines and lines that begin with # are skipped.

    Raises:
        HtpasswdError: If a line is no user, a hash is not bcrypt, or a user has more than two.
    """
    users: dict[str, tuple[bytes, ...]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, hashed = line.strip().partition(":")
        try:
            check_name(name)
            _check_hash(hashed)
            _check_count(name, users)
        except HtpasswdError as error:
            raise HtpasswdError(f"line {number}: {error}") from error
        users[name] = (*users.get(name, ()), hashed.encode())
    return users


def _check_count(name: str, users: Users) -> None:
    if len(users.get(name, ())) == MOST_HASHES:
        raise HtpasswdError(f"user {name!r} has more than {MOST_HASHES} passwords; remove a line")


def _check_hash(hashed: str) -> None:
    found = _HASH.fullmatch(hashed)
    if found is None:
        raise HtpasswdError(
            "the password is not hashed with bcrypt ($2y$...); "
            "write it with `cais-registry passwd FILE USER`"
        )
    if not LEAST_COST <= int(found[1]) <= MOST_COST:
        raise HtpasswdError(
            f"the bcrypt cost {found[1]} is not between {LEAST_COST} and {MOST_COST}"
        )
