# SPDX-License-Identifier: Apache-2.0
import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from cais_operator import pki
from cais_operator.handshake import Served, TlsHandshake
from operator_builders import HOSTS, NOW, authority, leaf
from support.apiserver import free_port

ADDRESS = HOSTS.ips[0]
NEW = pki.new_authority(name="new", validity=timedelta(days=3650), now=NOW)


@asynccontextmanager
async def server(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    found = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with found:
        yield found.sockets[0].getsockname()[1]


def serving(folder: Path, certificate: str, key: str) -> ssl.SSLContext:
    (folder / "tls.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.pem")
    return context


@pytest.mark.parametrize(
    ("host", "ca", "served"),
    [
        (ADDRESS, authority().certificate, Served.TRUSTED),
        (ADDRESS, NEW.certificate, Served.ANOTHER),
        ("10.96.7.8", authority().certificate, Served.ANOTHER),
    ],
)
async def test_a_handshake_shows_whose_certificate_is_served(
    host: str, ca: str, served: Served, tmp_path: Path
) -> None:
    made = leaf(days=3650)
    async with server(serving(tmp_path, made.certificate, made.key)) as port:
        look = TlsHandshake(lambda _: ("127.0.0.1", port))
        assert await look(host=host, ca=ca) is served


async def test_what_does_not_speak_tls_or_is_not_there_is_silence() -> None:
    ca = authority().certificate
    async with server(None) as port:
        assert await TlsHandshake(lambda _: ("127.0.0.1", port))(host=ADDRESS, ca=ca) is (
            Served.SILENCE
        )
    nobody = free_port()
    assert await TlsHandshake(lambda _: ("127.0.0.1", nobody))(host=ADDRESS, ca=ca) is (
        Served.SILENCE
    )
