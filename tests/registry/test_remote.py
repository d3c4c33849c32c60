# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ssl
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import pytest

from cais_registry.config.errors import ConfigError
from cais_registry.model.imported import Imported
from cais_registry.model.policy import Policy
from cais_registry.remote.challenge import Bearer, read_challenges
from cais_registry.remote.client import Client
from cais_registry.remote.pages import pages
from cais_registry.remote.registry import RemoteRegistry
from cais_registry.remote.site import Site, parse_source, site_of
from cais_registry.remote.tokens import Login
from cais_registry.remote.transport import Response, Transport
from cais_registry.services.importer import Importer
from cais_registry.services.sources import SourceLost, SourceRefused
from cais_registry.stores.files import Files
from core_support import World
from support.fake_registry import Asked, Reply, fake_registry


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://r.example", Site(scheme="https", host="r.example", port=443)),
        ("http://R.example/", Site(scheme="http", host="r.example", port=80)),
        ("https://[::1]:5000", Site(scheme="https", host="::1", port=5000)),
    ],
)
def test_an_address_is_scheme_host_and_port(url: str, site: Site) -> None:
    assert parse_source(url) == site
    assert site_of(f"{site.url}/v2/x?y") == site


@pytest.mark.parametrize(
    "url",
    [
        "", "r.example", "ftp://r.example", "https://", "https://:5000", "https://r:99999",
        "https://r:0", "https://[::1", "https://u@r", "https://u:p@r", "https://r/team",
        "https://r?x", "https://r#x",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^--from"):
        parse_source(url)


def test_nobody_is_sent_from_https_to_http() -> None:
    secure, plain = site_of("https://a.example"), site_of("http://a.example")
    with pytest.raises(SourceRefused, match="anyone can read"):
        secure.check_not_weaker(plain)
    for one, other in ((plain, secure), (secure, secure), (plain, plain)):
        one.check_not_weaker(other)


class Watched(Transport):
    """Remembers its answers."""

    def __init__(self) -> None:
        super().__init__(ssl.create_default_context())
        self.answers: list[Response] = []

    def send(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        self.answers.append(super().send(method, url, headers))
        return self.answers[-1]


def test_an_answer_is_closed_where_its_challenge_cannot_be_met() -> None:
    transport = Watched()
    with fake_registry() as fake:
        challenge = 'Bearer realm="http://127.0.0.2/token"'  # it wants the password, unallowed
        fake.rule = lambda _: Reply(status=401, headers={"WWW-Authenticate": challenge})
        login = Login(site=site_of(fake.url), basic="Basic eA==")
        client = Client(transport, login)
        with pytest.raises(SourceLost, match="allow it with --auth-host"):
            client.get("/v2/app/tags/list", "repository:app:pull")
    assert [answer.closed for answer in transport.answers] == [True]


async def test_an_answer_is_closed_where_no_byte_of_it_is_taken(tmp_path: Path) -> None:
    transport, world, done = Watched(), World(tmp_path), Imported()
    world.policy = Policy(quota=1000)
    with fake_registry() as fake:
        fake.image("team/app", "v1", b"x" * 1_000_000)
        source = RemoteRegistry(Client(transport, Login(site=site_of(fake.url), basic=None)))
        async with world.open() as core:
            importer = Importer(core.blobs, core.uploads, core.manifests, Files(world.data).adopt)
            await importer.run(source, done)
    assert "quota" in str(done.problems)
    assert len(fake.paths("/blobs/")) == 2
    assert all(answer.closed for answer in transport.answers)


BEARER = Bearer(realm="https://a/t", service="s, with a comma")


@pytest.mark.parametrize(
    ("headers", "bearer", "basic"),
    [
        ([], None, False),
        (['Basic realm="x"'], None, True),
        (['bearer realm="https://a/t",service="s, with a comma",scope="x"'], BEARER, False),
        (
            ["Negotiate", "Basic", 'Bearer realm="https://a/t", service="s, with a comma"'],
            BEARER,
            True,
        ),
        (["Bearer"], None, False),
        (['Bearer realm=""'], None, False),
        (["Bearer service=s"], None, False),
        (["Bearer realm=https://a/t"], Bearer(realm="https://a/t", service=None), False),
        (['Bearer "', "=,=", ""], None, False),
    ],
)
def test_challenges_are_read(headers: list[str], bearer: Bearer | None, basic: bool) -> None:
    assert read_challenges(headers) == (bearer, basic)


async def test_pages_without_end_are_read_for_so_long_only() -> None:
    numbers = count()

    def rule(_: Asked) -> Reply:
        link = f'<?last={next(numbers)}>; rel="next"'
        return Reply(body=b"{}", headers={"Link": link})

    with fake_registry() as fake:
        fake.rule = rule
        transport = Transport(ssl.create_default_context())
        client = Client(transport, Login(site=parse_source(fake.url), basic=None))
        with pytest.raises(SourceRefused, match="have no end: 7 were read"):
            [page async for page in pages(client, "/v2/_catalog", "x", most=7)]
    assert len(fake.asked) == 7
