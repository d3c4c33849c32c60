# SPDX-License-Identifier: Apache-2.0
"""The client against a small real HTTP server: what it sends, and what it makes of odd answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cais_operator import errors
from cais_operator.cluster import Client, Expired, Selection, connect

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SERVICES = Selection(kind="Service", namespace="a", labels="x=y")
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}}


@asynccontextmanager
async def client_of(
    handler: Handler, folder: Path, count: Callable[[str, str], None] | None = None
) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "x", "user": {"token": "a-token"}}],
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                "current-context": "x",
            }
        )
    )
    client = Client(await connect(path), count)
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


def answering(*answers: web.Response) -> tuple[Handler, list[web.Request]]:
    """A server that gives these answers in turn, and the requests it got."""
    left, seen = list(answers), []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        await request.read()
        return left.pop(0)

    return handler, seen


def page(names: list[str], go_on: str = "") -> web.Response:
    items = [{"metadata": {"name": name}} for name in names]
    return web.json_response(
        {"metadata": {"continue": go_on, "resourceVersion": "9"}, "items": items}
    )


async def test_a_list_is_read_page_by_page(tmp_path: Path) -> None:
    handler, seen = answering(page(["one"], "next"), page(["two"]))
    async with client_of(handler, tmp_path) as client:
        found, version = await client.list(SERVICES)
    assert [one["metadata"]["name"] for one in found] == ["one", "two"]
    assert {one["kind"] for one in found} == {"Service"}
    assert version == "9"
    assert [dict(one.query) for one in seen] == [
        {"labelSelector": "x=y", "limit": "100"},
        {"labelSelector": "x=y", "limit": "100", "continue": "next"},
    ]
    assert seen[0].headers["Authorization"] == "Bearer a-token"
    assert seen[0].headers["User-Agent"].startswith("cais-operator/")


async def test_a_list_whose_pages_became_too_old_is_to_be_read_again(tmp_path: Path) -> None:
    handler, _ = answering(page(["one"], "next"), web.json_response({}, status=410))
    async with client_of(handler, tmp_path) as client:
        with pytest.raises(errors.ApiUnavailable):
            await client.list(SERVICES)


async def test_contents_are_not_asked_for_where_metadata_is_enough(tmp_path: Path) -> None:
    handler, seen = answering(page([]))
    async with client_of(handler, tmp_path) as client:
        await client.list(Selection(kind="Secret", metadata_only=True))
    assert "as=PartialObjectMetadataList" in seen[0].headers["Accept"]
    assert seen[0].path == "/api/v1/secrets"


@pytest.mark.parametrize(
    ("verb", "method", "path", "query"),
    [
        ("create", "POST", "/api/v1/namespaces/a/secrets", {"fieldManager": "cais-operator"}),
        ("replace", "PUT", "/api/v1/namespaces/a/secrets/s", {"fieldManager": "cais-operator"}),
        ("apply", "PATCH", "/api/v1/namespaces/a/secrets/s",
         {"fieldManager": "cais-operator", "force": "true"}),
        ("apply_status", "PATCH", "/api/v1/namespaces/a/secrets/s/status",
         {"fieldManager": "cais-operator-status", "force": "true"}),
    ],
)  # fmt: skip
async def test_every_write_is_strict_and_signed(
    tmp_path: Path, verb: str, method: str, path: str, query: dict[str, str]
) -> None:
    handler, seen = answering(web.json_response(SECRET))
    async with client_of(handler, tmp_path) as client:
        await getattr(client, verb)(SECRET)
    assert (seen[0].method, seen[0].path) == (method, path)
    assert dict(seen[0].query) == {**query, "fieldValidation": "Strict"}
    is_apply = verb.startswith("apply")
    expected = "application/apply-patch+yaml" if is_apply else "application/json"
    assert seen[0].content_type == expected
    assert json.loads(await seen[0].text()) == SECRET


async def test_a_delete_is_of_exactly_one_object(tmp_path: Path) -> None:
    handler, seen = answering(web.json_response({}))
    async with client_of(handler, tmp_path) as client:
        await client.delete("Secret", "a", "s", uid="u-1")
    assert json.loads(await seen[0].text())["preconditions"] == {"uid": "u-1"}


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text="<html>a proxy</html>"),
        web.Response(text='{"metadata": {"na'),
        web.Response(status=503, text="away"),
    ],
)
async def test_an_answer_that_is_not_the_api_servers_means_try_again(
    tmp_path: Path, answer: web.Response
) -> None:
    handler, _ = answering(answer)
    async with client_of(handler, tmp_path) as client:
        with pytest.raises(errors.ApiUnavailable):
            await client.get("Secret", "a", "s")


async def test_nobody_listening_means_try_again_and_the_token_is_not_told(tmp_path: Path) -> None:
    handler, _ = answering()
    async with client_of(handler, tmp_path) as client:
        client._short.client.configuration.host = "http://127.0.0.1:1"
        with pytest.raises(errors.ApiUnavailable) as away:
            await client.get("Secret", "a", "s")
    assert "a-token" not in str(away.value)


def line(kind: str, **live: Any) -> str:
    return json.dumps({"type": kind, "object": live}) + "\n"


ADDED = line("ADDED", metadata={"name": "s", "resourceVersion": "5"})


@pytest.mark.parametrize(
    ("tail", "error"),
    [
        (line("ERROR", code=410, message="too old"), Expired),
        (line("ERROR", code=500, message="away"), errors.ApiUnavailable),
        ('{"type": "ADD', errors.ApiUnavailable),
    ],
)
async def test_a_watch_tells_how_it_ended(
    tmp_path: Path, tail: str, error: type[Exception]
) -> None:
    handler, seen = answering(web.Response(text=ADDED + tail))
    async with client_of(handler, tmp_path) as client:
        events = client.watch(SERVICES, "4")
        assert (await anext(events)).type == "ADDED"
        with pytest.raises(error):
            await anext(events)
    assert seen[0].query["resourceVersion"] == "4"
    assert seen[0].query["allowWatchBookmarks"] == "true"


async def test_a_watch_that_is_refused_for_its_age_is_expired(tmp_path: Path) -> None:
    handler, _ = answering(web.json_response({"message": "too old"}, status=410))
    async with client_of(handler, tmp_path) as client:
        with pytest.raises(Expired):
            await anext(client.watch(SERVICES, "4"))


@pytest.mark.parametrize("size", [100, 101, 10_000_000])
async def test_a_document_is_read_up_to_a_size(tmp_path: Path, size: int) -> None:
    handler, seen = answering(web.Response(body=b"x" * size))
    async with client_of(handler, tmp_path) as client:
        if size <= 100:
            assert await client.document("/openid/v1/jwks", most=100) == b"x" * size
        else:
            with pytest.raises(errors.ApiUnavailable, match="more than 100 bytes"):
                await client.document("/openid/v1/jwks", most=100)
    assert [one.path for one in seen] == ["/openid/v1/jwks"]


async def test_a_document_that_does_not_end_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)

    monkeypatch.setattr("cais_operator.cluster.client.DOCUMENT_TIMEOUT", 0.3)
    async with client_of(dripping, tmp_path) as client:
        with pytest.raises(errors.ApiUnavailable, match="cannot be reached for /openid"):
            await client.document("/openid/v1/jwks", most=1000)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, errors.Rejected), (404, errors.NotFound), (503, errors.ApiUnavailable)],
)
async def test_a_document_that_is_not_given_is_an_error(
    tmp_path: Path, status: int, kind: type[Exception]
) -> None:
    handler, _ = answering(web.Response(status=status, text="no"))
    async with client_of(handler, tmp_path) as client:
        with pytest.raises(kind):
            await client.document("/openid/v1/jwks", most=100)


async def test_requests_are_counted_by_verb_and_how_they_ended(tmp_path: Path) -> None:
    bodies: list[dict[str, Any]] = [{}, {"items": []}, {}, {}, {}]
    statuses = (200, 200, 200, 200, 503)
    answers = [
        web.json_response(one, status=code) for one, code in zip(bodies, statuses, strict=True)
    ]
    handler, _ = answering(*answers)
    counted: list[tuple[str, str]] = []
    async with client_of(handler, tmp_path, lambda *one: counted.append(one)) as client:
        await client.get("Secret", "a", "s")
        await client.list(SERVICES)
        await client.create(SECRET)
        await client.apply(SECRET)
        with pytest.raises(errors.ApiUnavailable):
            await client.replace(SECRET)
    assert counted == [
        ("get", "200"),
        ("list", "200"),
        ("create", "200"),
        ("patch", "200"),
        ("update", "503"),
    ]


async def test_a_request_that_nobody_answers_is_counted_too(tmp_path: Path) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    counted: list[tuple[str, str]] = []
    async with client_of(cut, tmp_path, lambda *one: counted.append(one)) as client:
        with pytest.raises(errors.ApiUnavailable):
            await client.create(SECRET)
    assert counted == [("create", "error")]


async def test_a_process_that_leads_no_longer_writes_nothing_but_its_lease(tmp_path: Path) -> None:
    handler, seen = answering(*(web.json_response({}) for _ in range(2)))
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l", "namespace": "a"},
    }
    async with client_of(handler, tmp_path) as client:
        client._may_write = lambda: False
        for write in (client.create, client.replace, client.apply, client.apply_status):
            with pytest.raises(errors.ApiUnavailable, match="no longer leads"):
                await write(SECRET)
        with pytest.raises(errors.ApiUnavailable, match="no longer leads"):
            await client.patch("Secret", "a", "s", {})
        with pytest.raises(errors.ApiUnavailable, match="no longer leads"):
            await client.delete("Secret", "a", "s", uid="u")
        assert seen == []
        await client.get("Secret", "a", "s")
        await client.replace(lease)
    assert [request.method for request in seen] == ["GET", "PUT"]


async def test_a_410_of_anything_but_a_watch_is_tried_again(tmp_path: Path) -> None:
    handler, _ = answering(web.Response(status=410))
    async with client_of(handler, tmp_path) as client:
        with pytest.raises(errors.ApiUnavailable):
            await client.get("Secret", "a", "s")
