# SPDX-License-Identifier: Apache-2.0
"""Measures pages of listings over TLS: a million tags of one repository, 100,000 repositories.

    python bench/listings.py [--tags 1000000] [--teams 1000] [--asks 300]

The rows are made in the database itself, SQLite and then PostgreSQL; then the real server is asked,
on one connection.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import psycopg

from cais_registry.services.core import open_core
from cais_registry.stores.connection import Connection
from support import postgresql
from support.registry import Server, htpasswd, make_certificate, running

TAGS = 1_000_000
TEAMS = 1_000
ASKS = 300
APPS = 100
"""Repositories of a team."""

_FIRST = 10_000_000  # numbers of as many digits sort as text
_RULES = {
    "admin": "**",
    "one": f"team-{_FIRST + TEAMS // 2}/**",
    "wild": f"*/app-{_FIRST + 7}",
}
_PAGES = (100, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of page.

    Attributes:
        listing: What is listed.
        user: Who asks.
        where: In the listing.
        path: Without the length of the page.
    """

    listing: str
    user: str
    where: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Milliseconds of a page, by its length: median and 99th percentile.

    Attributes:
        case: What was asked for.
        database: Where it was kept.
        times: By the length of the page.
    """

    case: Case
    database: str
    times: dict[int, tuple[float, float]]


_REPOSITORIES = """
    INSERT INTO repository (name, created_at)
    WITH RECURSIVE n(i) AS (
        SELECT CAST(:first AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < :last
    )
    SELECT 'team-' || (i / 100) || '/app-' || (:first / 100 + i % 100), 0 FROM n
"""
_MANIFESTS = """
    INSERT INTO manifest (repo_id, digest, media_type, annotations, size, storage_key,
        created_at, touched_at, content)
    SELECT id, 'sha256:0', 'x', '{}', 0, 'key of ' || name, 0, 0, '' FROM repository
"""
_TAGS = """
    INSERT INTO tag (repo_id, name, manifest_digest, created_at, updated_at)
    WITH RECURSIVE n(i) AS (
        SELECT CAST(:first AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < :last
    )
    SELECT (SELECT MIN(id) FROM repository), 'v' || i, 'sha256:0', 0, 0 FROM n
"""


def fill(connection: Connection, *, tags: int, teams: int) -> None:
    """Make the rows: teams of 100 repositories, and tags of the first one."""
    first = _FIRST * APPS
    connection.execute(_REPOSITORIES, {"first": first, "last": first + teams * APPS - 1})
    connection.execute(_MANIFESTS)
    connection.execute(_TAGS, {"first": _FIRST, "last": _FIRST + tags - 1})
    connection.execute("ANALYZE")


async def prepare(data: Path, url: str | None, *, tags: int, teams: int) -> None:
    """Lay out a data folder, and the database at a URL if there is one, that holds them."""
    core = await open_core(data, database_url=url)
    await core.database.write(partial(fill, tags=tags, teams=teams))
    await core.close()
    if url is not None:
        settle(url)


def settle(url: str) -> None:
    """Have done what PostgreSQL does by itself about a minute after so many insertions.

    It would fall into the midst of the measuring.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def cases(*, tags: int, teams: int) -> Iterator[Case]:
    """First, middle and last pages, as those see them who may see all, some, or scattered ones."""
    where = {"first": 0.0, "middle": 0.5, "last": 1.0}
    for name, share in where.items():
        last = _FIRST + int((tags - max(_PAGES) - 1) * share)
        path = f"/v2/team-{_FIRST}/app-{_FIRST}/tags/list?last=v{last}"
        yield Case(listing=f"{tags:,} tags", user="admin", where=name, path=path)
    for name, share in where.items():
        team = _FIRST + int((teams - max(_PAGES) / APPS) * share)
        path = f"/v2/_catalog?last=team-{team}/"
        yield Case(listing=f"{teams * APPS:,} repositories", user="admin", where=name, path=path)
    for user in ("one", "wild"):
        yield Case(
            listing=f"{teams * APPS:,} repositories",
            user=user,
            where="first",
            path="/v2/_catalog?last=",
        )


def measured(
    folder: Path, *, tags: int = TAGS, teams: int = TEAMS, asks: int = ASKS
) -> list[Figure]:
    """Ask for each kind of page again and again, over each kind of database."""
    figures = []
    with postgresql.cluster() as cluster:
        for database, url in (("SQLite", None), ("PostgreSQL", cluster.create("listings"))):
            place = folder / database
            place.mkdir()
            with _serving(place, url, tags=tags, teams=teams) as server:
                figures += [
                    _figure(server, case, database, asks) for case in cases(tags=tags, teams=teams)
                ]
    return figures


@contextmanager
def _serving(folder: Path, url: str | None, *, tags: int, teams: int) -> Iterator[Server]:
    asyncio.run(prepare(folder / "data", url, tags=tags, teams=teams))
    pair = make_certificate(folder)
    (folder / "users").write_text(htpasswd(**dict.fromkeys(_RULES, "x")))
    rules = [
        {"users": [user], "repositories": [glob], "actions": ["pull"]}
        for user, glob in _RULES.items()
    ]
    config: dict[str, object] = {
        "auth": {"htpasswdFile": str(folder / "users")},
        "access": {"rules": rules},
    }
    if url is not None:
        (folder / "url").write_text(url)
        config["database"] = {"urlFile": str(folder / "url")}
    flags = ("--tls-cert", pair[0], "--tls-key", pair[1])
    with running(folder, *flags, config=config, login="admin:x") as server:
        yield server


def _figure(server: Server, case: Case, database: str, asks: int) -> Figure:
    connection = server.connect()
    asks = asks if case.user != "wild" else max(asks // 10, 2)  # each looks at all names
    times = {}
    for length in _PAGES:
        took = sorted(_ask(connection, case, length) for _ in range(asks))
        times[length] = (quantiles(took, n=2)[0] * 1000, quantiles(took, n=100)[98] * 1000)
    connection.close()
    return Figure(case=case, database=database, times=times)


def _ask(connection: http.client.HTTPConnection, case: Case, length: int) -> float:
    login = base64.b64encode(f"{case.user}:x".encode()).decode()
    begin = time.perf_counter()
    connection.request(
        "GET", f"{case.path}&n={length}", headers={"Authorization": f"Basic {login}"}
    )
    answer = connection.getresponse()
    body = answer.read()
    took = time.perf_counter() - begin
    if answer.status != 200 or not any(map(len, list(json.loads(body).values())[-1:])):  # noqa: PLR2004 - HTTP
        raise RuntimeError(f"{case}: {answer.status} {body[:200]!r}")
    return took


def table(figures: list[Figure]) -> str:
    """A Markdown table."""
    lengths = [f"{length} on a page, p50 | p99" for length in _PAGES]
    lines = [f"| database | listing | who | page | {' | '.join(lengths)} |", "|" + "---|" * (4 + 4)]
    for figure in figures:
        case = figure.case
        times = [f"{value:.1f} ms" for pair in figure.times.values() for value in pair]
        rule = f"`{_RULES[case.user]}`"
        lines.append(
            f"| {figure.database} | {case.listing} | {rule} | {case.where} | {' | '.join(times)} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tags", type=int, default=TAGS)
    parser.add_argument("--teams", type=int, default=TEAMS, help="of 100 repositories each")
    parser.add_argument("--asks", type=int, default=ASKS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = measured(Path(name), tags=options.tags, teams=options.teams, asks=options.asks)
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
