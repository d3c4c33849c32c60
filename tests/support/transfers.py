# SPDX-License-Identifier: Apache-2.0
"""Transfers that have begun and not ended."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing, contextmanager

from support.registry import Server, digest_of


@contextmanager
def download(server: Server, content: bytes) -> Iterator[http.client.HTTPResponse]:
    """Begin to read a blob of the repository `a`; one that fits into no buffer goes on."""
    with closing(server.connect()) as connection:
        connection.request("GET", f"/v2/a/blobs/{digest_of(content)}")
        with connection.getresponse() as answer:
            assert answer.status == 200
            yield answer
