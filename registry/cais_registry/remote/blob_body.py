# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from cais_registry.remote.client import Client
from cais_registry.remote.transport import HTTPError, Response
from cais_registry.services.sources import SourceRefused

_PIECE: Final = 1 << 20
_MOST_BREAKS: Final = 5
_PARTIAL: Final = 206


async def pieces(
    client: Client, path: str, scope: str, response: Response
) -> AsyncGenerator[bytes, None]:
    """The bytes of a blob; where the connection breaks off, the rest is asked for.

    Args:
        client: Asks the registry.
        path: Of the blob.
        scope: What a token has to be good for.
        response: Its first answer; closed in the end.

    Raises:
        SourceRefused: If it breaks off again and again.
        SourceLost: If the registry does not answer any more.
    """
    offset = breaks = 0
    try:
        while True:
            try:
                while piece := await asyncio.to_thread(response.read, _PIECE):
                    offset += len(piece)
                    yield piece
                return  # noqa: TRY300 - the way out of the loop
            except HTTPError as error:
                breaks += 1
                if breaks > _MOST_BREAKS:
                    raise SourceRefused(f"it broke off {breaks} times") from error
            response.close()
            response = await asyncio.to_thread(_rest, client, path, scope, offset)
    finally:
        response.close()


def _rest(client: Client, path: str, scope: str, offset: int) -> Response:
    response = client.get(path, scope, {"Range": f"bytes={offset}-"})
    begins = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
    if response.status == _PARTIAL and begins:
        return response
    if offset == 0 and response.status != _PARTIAL:
        return response
    response.close()
    raise SourceRefused(f"it broke off at byte {offset}, and cannot be asked for from there")
