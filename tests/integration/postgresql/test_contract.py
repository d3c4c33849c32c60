# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL does what every database behind the stores has to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cais_registry.stores.database import Database
from cais_registry.stores.postgresql_database import PostgresDatabase
from support.database_contract import *  # noqa: F403 - the tests


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    opened = PostgresDatabase(dsn)
    yield opened
    opened.close()
