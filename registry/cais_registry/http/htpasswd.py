# SPDX-License-Identifier: Apache-2.0
"""Files of users and bcrypt hashes, one `name:hash` a line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

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


def parse(text: str) -> Mapping[str, bytes]:
    """Read users and their hashes; empty lines and lines that begin with # are skipped.

    Raises:
        HtpasswdError: If a line is no user, a hash is not bcrypt, or a user is named twice.
    """
    users: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, hashed = line.strip().partition(":")
        try:
            check_name(name)
            _check_hash(hashed)
            _check_new(name, users)
        except HtpasswdError as error:
            raise HtpasswdError(f"line {number}: {error}") from error
        users[name] = hashed.encode()
    return users


def _check_new(name: str, users: Mapping[str, bytes]) -> None:
    if name in users:
        raise HtpasswdError(f"user {name!r} is named twice")


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
