# SPDX-License-Identifier: Apache-2.0
"""Objects of a bucket, by the library obstore; its errors become ours here."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cais_registry.model.errors import StorageUnavailable

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Objects

_LOG = logging.getLogger(__name__)
_PIECE: Final = 256 * 1024
_PART: Final = 5 * 1024 * 1024  # the smallest that S3 takes; two or three are in memory
_PARTS_AT_ONCE: Final = 2
_RESUMES: Final = 3
_LINK_TIME: Final = timedelta(minutes=15)
_ANSWER: Final = timedelta(seconds=30)
_LONGEST: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """How a bucket is reached.

    Attributes:
        bucket: Its name.
        endpoint: `https://host:port`; None for Amazon's own.
        region: Region that requests are signed for.
        prefix: Put before every key; empty for none.
        access_key: Name of the key.
        secret_key: The key.
        ca: Certificates to trust besides the system's, PEM; None for none.
    """

    bucket: str
    endpoint: str | None
    region: str
    prefix: str
    access_key: str
    secret_key: str
    ca: bytes | None = None

    def __repr__(self) -> str:
        return f"S3Access({self.bucket!r}, {self.endpoint!r})"  # never the keys


def connect(access: S3Access, *, retry_time: timedelta = _ANSWER) -> Objects:
    """Make a client of an S3-compatible store; nothing is asked of it yet.

    Args:
        access: How the bucket is reached.
        retry_time: How long a request is tried again, with growing pauses that vary.
    """
    from obstore.store import S3Store  # noqa: PLC0415 - costs memory, used with object stores only

    options: dict[str, object] = {
        "allow_http": (access.endpoint or "").startswith("http://"),
        "connect_timeout": timedelta(seconds=5),
        "read_timeout": _ANSWER,
        "timeout": _LONGEST,
    }
    if access.ca is not None:
        options["root_certificate"] = access.ca
    return S3Store(
        access.bucket,
        prefix=access.prefix or None,
        region=access.region,
        access_key_id=access.access_key,
        secret_access_key=access.secret_key,
        client_options=options,  # type: ignore[arg-type] # a TypedDict that only stubs have
        retry_config={"max_retries": 5, "retry_timeout": retry_time},
        config={} if access.endpoint is None else {"endpoint": access.endpoint},
    )


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn an error of the store into `StorageUnavailable`, with the reason in the log."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - see `connect`

    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        reason = " ".join(str(error).partition("Debug source")[0].split())[:500]
        _LOG.error("the object store failed to %s: %s", what, reason)
        raise StorageUnavailable("the object store does not answer as it should") from error


class Bucket:
    """What blobs need of a bucket. Every method raises `StorageUnavailable` when that fails."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def size(self, key: str) -> int | None:
        """Size of an object, None if there is none."""
        with translated("look at an object"):
            try:
                found = await self._objects.head_async(key)
            except FileNotFoundError:
                return None
            return found["size"]

    async def read(self, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Stream a part; where the connection breaks, a new one goes on."""
        end, resumes = start + length, 0
        while start < end:
            with translated("read an object"):
                try:
                    options = {"range": (start, end)}
                    found = await self._objects.get_async(key, options=options)  # type: ignore[arg-type] # see `connect`
                    async for piece in found.stream(min_chunk_size=_PIECE):
                        start += len(piece)
                        yield bytes(piece)
                except FileNotFoundError:
                    raise
                except Exception:
                    resumes += 1
                    if resumes > _RESUMES:
                        raise

    async def put(self, key: str, content: bytes) -> None:
        """Write a small object."""
        with translated("write an object"):
            await self._objects.put_async(key, content)

    async def put_stream(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Write an object of any size, in parts; it is there when all of it is."""
        with translated("write an object"):
            await self._objects.put_async(
                key, pieces, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
            )

    async def copy(self, source: str, target: str) -> bool:
        """Copy an object of at most 5 GiB inside the store; False if it is not there."""
        with translated("copy an object"):
            try:
                await self._objects.copy_async(source, target)
            except FileNotFoundError:
                return False
        return True

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects, whether they are there or not."""
        if keys:
            with translated("delete objects"):
                await self._objects.delete_async(list(keys))

    async def keys(self, prefix: str, after: str, limit: int) -> list[tuple[str, int]]:
        """List objects below a folder, in byte order, with their sizes."""
        found: list[tuple[str, int]] = []
        with translated("list objects"):
            stream = self._objects.list(prefix, offset=after or None, chunk_size=min(limit, 1000))
            async for batch in stream:
                found += [(entry["path"], entry["size"]) for entry in batch]
                if len(found) >= limit:
                    break
        return sorted(found)[:limit]

    async def link(self, key: str) -> str | None:
        """A signed address for GET that holds for 15 minutes; None if the store has none."""
        from obstore import sign_async  # noqa: PLC0415 - see `connect`
        from obstore.store import S3Store  # noqa: PLC0415 - see `connect`

        if not isinstance(self._objects, S3Store):
            return None
        with translated("sign an address"):
            return await sign_async(self._objects, "GET", key, _LINK_TIME)
