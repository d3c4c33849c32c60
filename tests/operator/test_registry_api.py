# SPDX-License-Identifier: Apache-2.0
"""Against a small real HTTPS server with a certificate of our own making."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from cais_operator import pki
from cais_operator.certificates import Authority
from cais_operator.names import Hosts
from cais_operator.registry_api import HttpRegistryApi, Way

PASSWORD = "a-password-of-the-stub"
ANSWERS = {
    "config": {
        "files": {"/etc/x": "ab"},
        "error": None,
        "retention": {"problems": ["retention[0]: x"]},
    },
    "usage": {"bytes": 5},
    "gc": {"last": None},
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def new_authority() -> Authority:
    return pki.new_authority(name="tests", validity=timedelta(days=1), now=datetime.now(UTC))


def way(
    ca: str | None,
    *,
    host: str = "127.0.0.1",
    name: str = "team.team-a.svc",
    password: str = PASSWORD,
) -> Way:
    return Way(host=host, name=name, ca=ca, password=password)


async def answer(request: web.Request) -> web.StreamResponse:
    right = aiohttp.encode_basic_auth("cais-gc", PASSWORD)
    if request.headers.get("Authorization") != right:
        return web.json_response({"errors": []}, status=401)
    return web.json_response(ANSWERS[request.match_info["question"]])


@asynccontextmanager
async def server(
    folder: Path, handler: Handler, *, has_tls: bool = True
) -> AsyncIterator[tuple[HttpRegistryApi, str]]:
    """A server; yields the client for its port and the CA to trust."""
    authority = new_authority()
    hosts = Hosts(dns=("team.team-a.svc",), ips=("127.0.0.1",))
    validity = timedelta(hours=1)
    leaf = pki.issue(authority, hosts, name="t", validity=validity, now=datetime.now(UTC))
    (folder / "tls.crt").write_text(leaf.certificate)
    (folder / "tls.key").write_text(leaf.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    app = web.Application()
    app.router.add_get("/cais/v1/{question}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context if has_tls else None)
    await site.start()
    try:
        yield HttpRegistryApi(port=runner.addresses[0][1]), authority.bundle
    finally:
        await runner.cleanup()


async def test_it_tells_what_the_server_says(tmp_path: Path) -> None:
    async with server(tmp_path, answer) as (api, ca):
        state = await api.state(way(ca))
    assert state.error is None
    assert state.files == {"/etc/x": "ab"}
    assert state.usage == {"bytes": 5}
    assert state.gc == {}
    assert state.retention_problems == ("retention[0]: x",)


async def test_a_server_that_knows_no_retention_has_no_problems_with_it(tmp_path: Path) -> None:
    async def older(request: web.Request) -> web.StreamResponse:
        question = request.match_info["question"]
        return web.json_response({"files": {}} if question == "config" else ANSWERS[question])

    async with server(tmp_path, older) as (api, ca):
        state = await api.state(way(ca))
    assert (state.error, state.retention_problems) == (None, ())


async def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path) -> None:
    async with server(tmp_path, answer) as (api, ca):
        state = await api.state(way(ca, password="wrong-one"))
    assert state.error is not None
    assert "401" in state.error
    assert "wrong-one" not in state.error


async def test_a_server_with_a_certificate_of_another_ca_gets_no_password(tmp_path: Path) -> None:
    seen: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return web.json_response({})

    async with server(tmp_path, note) as (api, _):
        state = await api.state(way(new_authority().bundle))
    assert "certificate" in (state.error or "")
    assert seen == []


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    async with server(tmp_path, answer) as (api, ca):
        state = await api.state(way(ca, name="other.team-a.svc"))
    assert "certificate" in (state.error or "")
    assert state.is_untrusted


async def test_a_certificate_without_its_issuer_is_trusted_by_itself(tmp_path: Path) -> None:
    async with server(tmp_path, answer) as (api, _):
        state = await api.state(way((tmp_path / "tls.crt").read_text()))
    assert state.error is None


async def test_without_tls_it_asks_in_clear(tmp_path: Path) -> None:
    async with server(tmp_path, answer, has_tls=False) as (api, _):
        state = await api.state(way(None))
        assert (state.error, state.is_untrusted) == (None, False)
    async with server(tmp_path, answer, has_tls=False) as (api, ca):
        assert (await api.state(way(ca))).error


async def redirect(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": f"https://example.com{request.path}"})


async def large(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"[" * (1 << 20) + request.path.encode())


async def no_json(request: web.Request) -> web.StreamResponse:
    return web.Response(text=request.path)


async def brackets(request: web.Request) -> web.StreamResponse:
    del request
    return web.Response(body=b"[" * 200_000)


async def odd(request: web.Request) -> web.StreamResponse:
    del request
    return web.json_response({"last": {"startedAt": "yesterday"}})


async def a_list(request: web.Request) -> web.StreamResponse:
    return web.json_response([request.path])


@pytest.mark.parametrize(
    ("handler", "word"),
    [
        (redirect, "302"),
        (large, "larger than"),
        (no_json, "not JSON"),
        (brackets, "not JSON"),
        (a_list, "not a JSON object"),
        (odd, "gc.last.startedAt is not a time"),
    ],
)
async def test_an_answer_that_is_no_answer_is_told_in_words(
    tmp_path: Path, handler: Handler, word: str
) -> None:
    async with server(tmp_path, handler) as (api, ca):
        state = await api.state(way(ca))
    assert state.error
    assert word in state.error


@pytest.mark.parametrize(
    ("host", "ca"), [("127.0.0.1", "no certificate"), ("127.0.0.1", None), ("::1", None)]
)
async def test_whatever_is_wrong_nothing_is_raised(host: str, ca: Any) -> None:
    api = HttpRegistryApi(port=1)  # nobody listens there
    state = await api.state(way(ca or new_authority().bundle, host=host))
    assert state.error
