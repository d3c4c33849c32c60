# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from cais_registry.http.errors import BadRequest
from cais_registry.http.requests import Request

T = TypeVar("T")
_MOST: Final = 4096  # bytes


async def read_json(request: Request, kind: type[T], *, like: str) -> T:
    """Read a JSON body of a few named values; an empty one is like `{}`.

    Args:
        request: The body is read, up to 4 KiB.
        kind: What it has to be.
        like: An example, for the message of an error.

    Raises:
        BadRequest: If it is something else.
    """
    body = await request.body.read(limit=_MOST)
    try:
        return msgspec.json.decode(body if body.strip() else b"{}", type=kind)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the body is not like {like}: {error}") from error
