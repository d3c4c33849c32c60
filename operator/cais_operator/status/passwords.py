# SPDX-License-Identifier: Apache-2.0
"""Passwords that are being replaced: which, and until when the old ones work. Pure."""

from datetime import datetime

from cais_operator.credentials import Passwords, generated_secrets, passwords_in
from cais_operator.observed import Observed
from cais_operator.resource import Registry
from cais_operator.status.conditions import stamp


def rotations(registry: Registry, observed: Observed, now: datetime) -> list[dict[str, str]]:
    """Return `status.rotations`: one for each user whose Secret says that two passwords work."""
    found = []
    for user, secret in sorted(generated_secrets(registry).items()):
        passwords = passwords_in(observed.child("Secret", secret))
        if passwords is not None:
            found.append({"user": user, **_told(secret, passwords.at(now))})
    return [one for one in found if "message" in one]


def _told(secret: str, passwords: Passwords) -> dict[str, str]:
    if passwords.next is not None:
        return {"message": f"Secret {secret} gets the new password when the server has loaded it"}
    if passwords.until is None:
        return {}
    end = stamp(passwords.until)
    message = f"Secret {secret} has a new password; the old one works until {end}"
    return {"oldPasswordUntil": end, "message": message}
