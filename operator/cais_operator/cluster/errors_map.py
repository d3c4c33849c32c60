# SPDX-License-Identifier: Apache-2.0
"""From an answer of the API server to an error of ours: one table, one place. Pure."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from cais_operator import errors
from cais_operator.cluster.interface import Expired

# A DecodeError is an answer cut short, or of something on the way that is no API server; a
# RecursionError is JSON nested deeper than can be read.
UNREACHABLE = (aiohttp.ClientError, OSError, ValueError, RecursionError, msgspec.DecodeError)
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT)
_UNDECLARED = "field not declared in schema"  # the words of a 500 that no retry cures
_LONGEST_WAIT = 300.0  # seconds; a wish to be left alone for longer is a mistake
_LONGEST = 1000  # characters of the API server's words; a status condition has an end


def error_from(
    status: int, headers: Mapping[str, str], body: bytes, subject: str
) -> errors.CaisError | Expired:
    """Return the error that an HTTP answer of 400 or more stands for.

    Args:
        status: HTTP status.
        headers: Of the answer; `Retry-After` in seconds is honoured.
        body: Of the answer; a `Status` object, or whatever a proxy on the way says.
        subject: What the request was about, for messages.
    """
    said = _status_object(body)
    message = str(said.get("message") or body[:_LONGEST].decode(errors="replace"))[:_LONGEST]
    reason = str(said.get("reason") or _phrase(status))
    if status == HTTPStatus.GONE:
        return Expired(f"{subject}: {message}")
    if status == HTTPStatus.NOT_FOUND or _namespace_ends(said):
        return errors.NotFound(f"{subject}: {message}")
    if status == HTTPStatus.CONFLICT:
        return errors.Conflict(f"{subject}: {message}")
    if _passing(status, message):
        words = f"the API server answers {status} to {subject}: {message}"
        return errors.ApiUnavailable(words, retry_after=_retry_after(headers))
    return errors.Rejected(status=status, reason=reason, message=message, subject=subject)


def unavailable(subject: str, error: BaseException) -> errors.ApiUnavailable:
    """Return the error for a request without an answer, or whose answer cannot be read.

    Args:
        subject: What the request was about, for messages.
        error: One of `UNREACHABLE`.
    """
    words = f"the API server cannot be reached for {subject}: {str(error) or type(error).__name__}"
    return errors.ApiUnavailable(words)


def _passing(status: int, message: str) -> bool:
    if status in _BUSY:  # a 401 passes too: a token is read anew within a minute
        return True
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR and _UNDECLARED not in message


def _namespace_ends(said: Mapping[str, Any]) -> bool:
    causes = (said.get("details") or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


def _phrase(status: int) -> str:
    """Return the words of a status; also of one that only some proxy on the way knows."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else f"Status{status}"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return min(_LONGEST_WAIT, float(value)) if value.isascii() and value.isdigit() else None


def _status_object(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
