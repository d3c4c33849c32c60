# SPDX-License-Identifier: Apache-2.0
"""The admin API in OpenAPI 3.1, made of the types that are encoded and decoded.

A new path is an `Operation` here; a test fails while one of `router.ADMIN` lacks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from cais_registry.http import admin_views as views
from cais_registry.http import deleted, reports

_PREFIX: Final = "/cais/v1/"
_SCHEMAS: Final = "#/components/schemas/"
_RESPONSES: Final = "#/components/responses/Error"
_REASONS: Final = {
    400: "Something in the request is not understood; the message says what is.",
    401: "Log in first, or user name or password is wrong.",
    403: "The user may not do this.",
    404: "There is no such thing (any more).",
    405: "Not on this server: it is read-only, or its blobs are in an object store.",
    413: "The body is larger than 4 KiB.",
    429: "Too many passwords are being checked; `Retry-After` says when to try again.",
    500: "A fault of the registry; its log says why.",
    503: "The database is away, or the server is being stopped; see `Retry-After`.",
}
_NUMBER: Final = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
_GUARDED: Final = (401, 403, 429)
_ALWAYS: Final = (400, 500, 503)


class ErrorEntry(msgspec.Struct, frozen=True):
    """One thing that went wrong: a code for programs, a message for people."""

    code: Annotated[str, Meta(pattern="^[A-Z_]+$")]
    message: str
    detail: Any


class Errors(msgspec.Struct, frozen=True):
    """The body of every error (OCI distribution-spec, "Error codes")."""

    errors: Annotated[list[ErrorEntry], Meta(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        path: As in `router.ADMIN`.
        name: Identifies it.
        summary: What it does.
        needs: Actions, one of which the user needs.
        answer: Type of the body of a good answer; None for a JSON object of any kind.
        method: In small letters.
        status: Of a good answer.
        body: Type of the body that is taken.
        is_body_required: Whether there has to be one.
        query: Names of parameters, with their schemas; an asterisk after one that is required.
        errors: More statuses of errors than all have.
        links: Operations that take the `id` of the answer.
    """

    path: str
    name: str
    summary: str
    needs: tuple[str, ...]
    answer: Any
    method: str = "get"
    status: int = 200
    body: type[msgspec.Struct] | None = None
    is_body_required: bool = False
    query: tuple[tuple[str, dict[str, Any]], ...] = ()
    errors: tuple[int, ...] = ()
    links: tuple[str, ...] = ()


OPERATIONS: Final = (
    Operation(
        path="gc",
        name="startGarbageCollection",
        method="post",
        summary="Collect garbage; a run that goes on is returned instead of a second one.",
        needs=("admin", "gc"),
        body=views.StartGc,
        status=202,
        answer=views.RunView,
        errors=(413,),
        links=("getGarbageCollection", "getGarbageCollectionReport"),
    ),
    Operation(
        path="gc",
        name="listGarbageCollections",
        summary="The garbage collections that people ask for: now, last, last good.",
        needs=("admin", "gc"),
        answer=views.Runs,
    ),
    Operation(
        path="gc/<id>",
        name="getGarbageCollection",
        summary="One garbage collection.",
        needs=("admin", "gc"),
        answer=views.RunView,
        errors=(404,),
    ),
    Operation(
        path="gc/<id>/report",
        name="getGarbageCollectionReport",
        summary="What retention deleted, or would delete, and why, in pages (`Link`).",
        needs=("admin", "gc"),
        query=(("n", _NUMBER), ("last", _NUMBER)),
        answer=reports.Report,
        errors=(404,),
    ),
    Operation(
        path="fsck",
        name="startCheck",
        method="post",
        summary="Compare database and files; a check that goes on is returned instead.",
        needs=("admin",),
        body=views.StartCheck,
        status=202,
        answer=views.CheckView,
        errors=(405, 413),
    ),
    Operation(
        path="fsck",
        name="getCheck",
        summary="The check that goes on, or the last one since the start, or null.",
        needs=("admin",),
        answer=views.CheckView | None,
    ),
    Operation(
        path="usage",
        name="getUsage",
        summary="What the registry holds.",
        needs=("admin", "usage"),
        answer=views.UsageView,
    ),
    Operation(
        path="config",
        name="getConfiguration",
        summary="Which files are loaded.",
        needs=("admin", "usage"),
        answer=views.ConfigView,
    ),
    Operation(
        path="deleted",
        name="listDeleted",
        summary="What was deleted from a repository and can come back, in pages (`Link`).",
        needs=("admin",),
        query=(
            ("repository*", deleted.REPOSITORY),
            ("n", _NUMBER),
            ("last", {"type": "string"}),
        ),
        answer=deleted.Page,
        errors=(404,),
    ),
    Operation(
        path="undelete",
        name="undelete",
        method="post",
        summary="Bring back a tag, or a manifest with its tags.",
        needs=("admin",),
        body=deleted.What,
        is_body_required=True,
        answer=deleted.RestoredView,
        errors=(404, 405, 413),
    ),
    Operation(
        path="openapi.json",
        name="describe",
        summary="This description.",
        needs=("admin", "usage"),
        answer=None,
    ),
)


def describe(version: str, *, is_open: bool) -> dict[str, Any]:
    """The description of a server.

    Args:
        version: Of the program.
        is_open: True for a registry without users, which asks nobody to log in.
    """
    kinds = [kind for one in OPERATIONS for kind in (one.answer, one.body) if kind is not None]
    _, schemas = msgspec.json.schema_components([*kinds, Errors], ref_template=_SCHEMAS + "{name}")
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        where = _PREFIX + one.path.replace("<", "{").replace(">", "}")
        paths.setdefault(where, {})[one.method] = _operation(one, is_open=is_open)
    responses = {f"Error{status}": _bad(status) for status in _REASONS}
    components: dict[str, Any] = {"schemas": schemas, "responses": responses}
    if not is_open:
        components["securitySchemes"] = {"users": {"type": "http", "scheme": "basic"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Admin API of a Cais registry",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Whatever answers GET answers HEAD, too, without the body. Any other "
            "method is answered with 405, and `Allow` says which there are.",
        },
        "paths": paths,
        "components": components,
    } | ({} if is_open else {"security": [{"users": []}]})


def _operation(one: Operation, *, is_open: bool) -> dict[str, Any]:
    errors = sorted({*_ALWAYS, *one.errors, *(() if is_open else _GUARDED)})
    found: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "description": f"Needs the action {' or '.join(one.needs)}.",
        "responses": {
            str(one.status): _good(one),
            **{str(status): {"$ref": f"{_RESPONSES}{status}"} for status in errors},
        },
    }
    parameters = [
        *([_parameter("path", "id*", {"type": "string"})] if "<id>" in one.path else []),
        *(_parameter("query", name, schema) for name, schema in one.query),
    ]
    if parameters:
        found["parameters"] = parameters
    if one.body is not None:
        content = {"application/json": {"schema": _schema(one.body)}}
        found["requestBody"] = {"required": one.is_body_required, "content": content}
    return found


def _parameter(where: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name.removesuffix("*"),
        "in": where,
        "required": name.endswith("*"),
        "schema": schema,
    }


def _good(one: Operation) -> dict[str, Any]:
    schema = {"type": "object"} if one.answer is None else _schema(one.answer)
    found: dict[str, Any] = {
        "description": one.summary,
        "content": {"application/json": {"schema": schema}},
    }
    if one.links:
        found["links"] = {
            name: {"operationId": name, "parameters": {"id": "$response.body#/id"}}
            for name in one.links
        }
    return found


def _bad(status: int) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"{_SCHEMAS}Errors"}}}
    return {"description": _REASONS[status], "content": content}


def _schema(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - a type, or a union of types
    (found,), _ = msgspec.json.schema_components([kind], ref_template=_SCHEMAS + "{name}")
    return found
