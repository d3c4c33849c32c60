# SPDX-License-Identifier: Apache-2.0
"""What our statements cost PostgreSQL, and what they leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import product

import pytest

from cais_registry.stores.connection import Connection
from cais_registry.stores.listing_rows import repos_between
from cais_registry.stores.postgresql import PostgresConnection, _native
from cais_registry.stores.postgresql_migrate import migrate


@pytest.fixture
def connection(dsn: str) -> Iterator[PostgresConnection]:
    opened = PostgresConnection(dsn)
    migrate(opened)
    yield opened
    opened.close()


def test_long_answers_leave_nothing_in_memory(connection: PostgresConnection) -> None:
    def two_at_once() -> list[int]:
        connection.begin(write=False, now=0)
        one, two = map(connection.rows, ("SELECT 1 AS n FROM clock", "SELECT 2 AS n FROM clock"))
        found = [next(two)["n"], next(one)["n"]]
        connection.rollback()
        return found

    assert two_at_once() == [2, 1]
    before = _native.cache_info().currsize
    assert [two_at_once() for _ in range(20)] == [[2, 1]] * 20
    assert _native.cache_info().currsize == before


_FILL = """
    INSERT INTO repository (name, created_at)
        SELECT 'r' || i, 0 FROM generate_series(10000, 29999) i;
    INSERT INTO manifest (repo_id, digest, media_type, annotations, size, storage_key,
        created_at, touched_at, content)
        SELECT id, 'sha256:0', 'x', '{}', 0, name, 0, 0, '' FROM repository;
    ANALYZE
"""
_READ = """
    SELECT CAST(SUM(idx_tup_fetch + seq_tup_read) AS BIGINT) AS n FROM pg_stat_xact_user_tables
        WHERE relname IN ('manifest', 'repository')
"""


def test_a_page_of_repositories_reads_no_more_than_it_shows(
    connection: PostgresConnection,
) -> None:
    """Wherever it is in the listing, and whether or not the planner looks at where that is."""
    connection.raw.execute(_FILL)
    for plans, low in product(("force_custom_plan", "force_generic_plan"), ("r", "r20", "r29")):
        connection.execute(f"SET plan_cache_mode = {plans}")
        connection.begin(write=False, now=0)
        before = connection.execute(_READ)[0]["n"]
        assert len(repos_between(connection, low, "s", 1000)) == 1000
        assert 1000 <= connection.execute(_READ)[0]["n"] - before < 3 * 1000, (plans, low)
        connection.rollback()


def test_one_statement_is_one_call_also_on_a_connection_that_was_lost(
    connection: PostgresConnection, dsn: str
) -> None:
    def one(once: Connection) -> tuple[int, bool]:
        return once.execute("SELECT 1 AS n")[0]["n"], connection.in_transaction

    assert connection.read_one(one, 0) == (1, False)
    with closing(PostgresConnection(dsn)) as other:
        backend = {"pid": connection.raw.info.backend_pid}
        other.execute("SELECT pg_terminate_backend(:pid)", backend)
    assert connection.read_one(one, 0) == (1, False)
