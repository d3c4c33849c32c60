# SPDX-License-Identifier: Apache-2.0
"""SQLite does what every database behind the stores has to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cais_registry.stores.database import Database
from cais_registry.stores.sqlite_database import SqliteDatabase
from support.database_contract import *  # noqa: F403 - the tests


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = SqliteDatabase.open(tmp_path / "metadata.sqlite3")
    yield opened
    opened.close()
