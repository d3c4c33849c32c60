# SPDX-License-Identifier: Apache-2.0
"""The application without an HTTP server: real services, and requests as ASGI messages."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cais_registry.app.lines import Lines
from cais_registry.http import accesslog, audit
from cais_registry.http.application import Application
from cais_registry.http.audit import AuditLog
from cais_registry.http.deps import Deps, Facts, LoadedFiles
from cais_registry.http.gate import Gate
from cais_registry.http.patience import Slowest
from cais_registry.http.requests import Peer
from cais_registry.http.stats import Stats
from cais_registry.model.limits import Limits
from cais_registry.services.core import open_core

Header = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request.

    Attributes:
        method: As it is sent.
        target: Path and query, encoded.
        headers: In order.
        pieces: Of the body.
        hangs_up: Whether the client goes before the body is over.
    """

    method: str
    target: str
    headers: tuple[Header, ...] = ()
    pieces: tuple[bytes, ...] = ()
    hangs_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Got:
    """An answer."""

    status: int
    headers: tuple[Header, ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The one header of a name, in small letters."""
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name} is sent twice"
        return found[0] if found else None

    @property
    def code(self) -> str:
        """The code of the OCI error body, which every error has to have."""
        assert self.header("content-type") == "application/json"
        (error,) = json.loads(self.body)["errors"]
        assert error["message"]
        return str(error["code"])


class InProcess:
    """Answers requests; remembers what was logged as a fault, and whose connection was cut."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.faults: list[str] = []
        self.cut: list[Peer] = []
        self.answered = 0

    async def ask(self, sent: Sent, *, takes: bool = True) -> Got:
        """Send one request; the whole answer, which has to be one.

        Args:
            sent: The request.
            takes: Whether the client takes the body of the answer.
        """
        messages: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            await asyncio.sleep(0)
            if message.get("body") and not takes:
                await asyncio.Event().wait()
            messages.append(message)

        path, _, query = sent.target.partition("?")
        scope = {
            "type": "http",
            "method": sent.method,
            "path": path,
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in sent.headers],
            "client": ("127.0.0.1", "4711"),
        }
        async with asyncio.timeout(60):
            await self._application(scope, _receive(sent), send)
        self.answered += 1
        return _answer(messages if takes else [*messages, {"type": "gone", "body": b""}])


def _receive(sent: Sent) -> Any:
    pieces: list[bytes] = list(sent.pieces)
    over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": True}
        if sent.hangs_up:
            return {"type": "http.disconnect"}
        if not over.is_set():
            over.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def _answer(messages: Sequence[dict[str, Any]]) -> Got:
    start, *rest = messages
    assert start["type"] == "http.response.start"
    assert rest
    assert [message.get("more_body", False) for message in rest] == [True] * (len(rest) - 1) + [
        False
    ]
    headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in start["headers"])
    for name, value in headers:
        assert name == name.lower()
        assert name.isprintable(), name
        assert not set(value) & set("\r\n\0"), (name, value)
    body = b"".join(message["body"] for message in rest)
    return Got(status=start["status"], headers=headers, body=body)


class _Faults(logging.Handler):
    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(f"{record.getMessage()}: {record.exc_info}")


@asynccontextmanager
async def opened(
    folder: Path,
    gate: Gate,
    limits: Limits,
    database_url: str | None = None,
    *,
    slowest: Slowest | None = None,
) -> AsyncIterator[InProcess]:
    """Build everything as the worker does; warnings of the log become faults."""
    core = await open_core(folder, limits=limits, database_url=database_url)
    cut: list[Peer] = []
    lines = Lines(lambda written: [json.loads(line) for line in written.splitlines()])
    deps = Deps(
        core=core,
        gate=gate,
        stats=Stats(),
        access_log=lines.sink(accesslog.LOGGER),
        audit=AuditLog(lines.sink(audit.LOGGER), pulls=True),
        loaded=lambda: LoadedFiles(files={}, error=None),
        manifest_bytes=limits.manifest_bytes,
        tags_per_push=limits.tags_per_push,
        slowest=slowest or Slowest(),
        cut=cut.append,
        notices=list,
        facts=Facts(version="1", database="sqlite", storage="files", certificate_expiry=None),
    )
    client = InProcess(Application(deps))
    client.cut = cut
    handler = _Faults(client.faults)
    logging.getLogger().addHandler(handler)
    try:
        yield client
    finally:
        await core.close()
        lines.flush()
        logging.getLogger().removeHandler(handler)
