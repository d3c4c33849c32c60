# SPDX-License-Identifier: Apache-2.0
"""Listings that come in pages (OCI distribution specification, "Listing Tags")."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from typing import Any, Final
from urllib.parse import urljoin

from cais_registry.remote.client import Client
from cais_registry.remote.site import site_of
from cais_registry.remote.transport import HTTPError
from cais_registry.services.sources import SourceRefused

MOST_PAGES: Final = 20_000
_MOST_BYTES: Final = 8 << 20
_NEXT: Final = re.compile(r'<([^<>]*)>\s*;\s*rel="?next"?')


async def pages(
    client: Client, path: str, scope: str, *, most: int = MOST_PAGES
) -> AsyncGenerator[dict[str, Any], None]:
    """The pages of a listing, each a JSON object; they may have any content.

    Raises:
        SourceRefused: If a page is none, or they have no end.
    """
    url: str | None = urljoin(client.site.url, path)
    seen: set[str] = set()
    while url is not None:
        if url in seen or len(seen) >= most:
            raise SourceRefused(f"the pages of {path} have no end: {len(seen)} were read")
        seen.add(url)
        page, link = await asyncio.to_thread(_page, client, url, scope)
        yield page
        url = None if link is None else urljoin(url, link)
        if url is not None and site_of(url) != client.site:
            raise SourceRefused(f"the pages of {path} lead to another server, {url[:200]}")


def _page(client: Client, url: str, scope: str) -> tuple[dict[str, Any], str | None]:
    with client.get(url, scope) as response:
        try:
            content = response.read(_MOST_BYTES + 1)
            found = json.loads(content)
        except (HTTPError, ValueError, RecursionError) as error:
            raise SourceRefused(f"{url[:200]} is not answered in JSON") from error
        link = _NEXT.search(response.headers.get("Link", ""))
    if len(content) > _MOST_BYTES or not isinstance(found, dict):
        raise SourceRefused(f"{url[:200]} is answered with something else than a page")
    return found, None if link is None else link[1]
