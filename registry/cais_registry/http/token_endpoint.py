# SPDX-License-Identifier: Apache-2.0
"""`/token`: a login is changed for a token that is good for a few minutes and a few things.

GET is the registry token protocol, POST its later form after OAuth 2.0. There are no refresh
tokens: who wants another token logs in again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

from cais_registry.http.audit import Asked
from cais_registry.http.deps import Deps
from cais_registry.http.errors import BadRequest, NoSuchPage
from cais_registry.http.gate import Caller, Gate
from cais_registry.http.grants import narrow
from cais_registry.http.requests import MOST_PARAMETERS, Request
from cais_registry.http.responses import Response, to_json
from cais_registry.http.tokens import Tokens
from cais_registry.model.errors import Unauthorized

Fields: TypeAlias = Sequence[tuple[str, str]]

MOST_SCOPES: Final = 100
_MOST_FORM: Final = 32 * 1024  # bytes
_FORM: Final = "application/x-www-form-urlencoded"


async def handle(deps: Deps, request: Request, asked: Asked) -> Response:
    """Answer GET, HEAD and POST."""
    gate, tokens = deps.gate, deps.gate.tokens
    if tokens is None:
        raise NoSuchPage("no tokens are given out here; send user name and password (Basic)")
    fields = await _form(request) if request.method == "POST" else request.query or ()
    scopes = _check(fields, tokens)
    if request.method == "POST":
        caller = await _login(gate, request, fields, asked)
    else:
        caller = await gate.identify(request)
    asked.user, asked.is_identified = caller.user, True
    _admit(caller)
    return _answer(caller, tokens, scopes)


def _check(fields: Fields, tokens: Tokens) -> Sequence[str]:
    """The scopes that are asked for, each once: parameters repeat, and hold several."""
    service = _value(fields, "service")
    if service and service != tokens.terms.service:
        raise BadRequest(
            f"this registry is the service {tokens.terms.service!r}, not {service[:80]!r}"
        )
    words = (word for name, value in fields if name == "scope" for word in value.split())
    scopes = list(dict.fromkeys(words))
    if len(scopes) > MOST_SCOPES:
        raise BadRequest(f"one token is good for at most {MOST_SCOPES} scopes, not {len(scopes)}")
    return scopes


async def _login(gate: Gate, request: Request, fields: Fields, asked: Asked) -> Caller:
    kind = _value(fields, "grant_type")
    if kind != "password":
        raise BadRequest(
            f"grant_type {kind[:40]!r} is not taken: there are no refresh tokens here; send "
            "grant_type=password with username and password, or GET with Basic credentials"
        )
    user = _value(fields, "username")
    asked.claimed = user if gate.knows(user) else None
    return await gate.login(user, _value(fields, "password"), client=request.client)


async def _form(request: Request) -> Fields:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise BadRequest(f"the body of a POST is a form: send Content-Type: {_FORM}")
    body = await request.body.read(limit=_MOST_FORM)
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError as error:  # of UTF-8, too
        raise BadRequest("the body is not a form of a few fields") from error
    if any("\0" in value for _, value in fields):
        raise BadRequest("a field of the form holds a NUL character (%00)")
    return fields


def _value(fields: Fields, name: str) -> str:
    return next((value for key, value in fields if key == name), "")


def _admit(caller: Caller) -> None:
    """Who may have a token at all, be it for nothing.

    Raises:
        Unauthorized: If a token is to be changed for another one, which would make it last for
            ever; or if who has not logged in could do nothing with it.
    """
    if caller.grant is not None:
        raise Unauthorized("a token is not changed for another one: send user name and password")
    if caller.user is None and not caller.permissions.anonymous:
        raise Unauthorized("log in first: this needs a user name and a password")


def _answer(caller: Caller, tokens: Tokens, scopes: Sequence[str]) -> Response:
    access = narrow(scopes, may=caller.may, catalog=caller.user is not None)
    issued = tokens.issue(caller.user, access, until=caller.until)
    return to_json(
        {
            "token": issued.text,
            "access_token": issued.text,
            "expires_in": issued.seconds,
            "issued_at": datetime.fromtimestamp(issued.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "scope": " ".join(map(str, access)),
        },
        headers=(("Cache-Control", "no-store"),),
    )
