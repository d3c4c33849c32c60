# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, in words of our own; the edge translates a library's errors into these."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One refusal of a spec: which field, what stands there, and what is allowed.

    Attributes:
        field: Path of the field, for example `spec.storage.volume.size`.
        value: What the field holds; shown as JSON. Never a secret.
        rule: What is allowed, as a sentence without a full stop.
    """

    field: str
    value: object
    rule: str

    def __str__(self) -> str:
        """Return `field is value: rule`."""
        shown = json.dumps(self.value, ensure_ascii=False, default=str)
        if len(shown) > _SHOWN:
            shown = shown[:_SHOWN] + "..."
        return f"{self.field} is {shown}: {self.rule}"


_SHOWN = 200  # characters of a value in a message; a status condition has an end


class CaisError(Exception):
    """Base of every error of this package."""


class InvalidSpec(CaisError):  # noqa: N818 - it is a finding about a spec, not a fault
    """A Registry whose spec cannot be used; a status, never a retry.

    Attributes:
        problems: Everything found, in the order of the fields.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class Rejected(CaisError):  # noqa: N818 - the API server's verdict on an object
    """The API server refused a request for good (4xx, or an undeclared field).

    Attributes:
        status: HTTP status.
        reason: The API server's machine word, for example `Invalid` or `Forbidden`.
        message: The API server's words, to be shown as they are.
        subject: What was refused, for example `Deployment team-a/team`.
    """

    def __init__(self, *, status: int, reason: str, message: str, subject: str) -> None:
        super().__init__(f"{subject}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.subject = subject


class Conflict(CaisError):  # noqa: N818 - a lost race, not a fault
    """The object changed meanwhile (resourceVersion), or exists already: read it again."""


class NotFound(CaisError):  # noqa: N818 - an answer, not a fault
    """The object, or its namespace, is not there."""


class ApiUnavailable(CaisError):  # noqa: N818 - a state of the API server
    """The API server could not be reached or asks to be left alone; the only retry.

    Attributes:
        retry_after: Seconds to wait, as the API server asked; None when it did not say.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
