# SPDX-License-Identifier: Apache-2.0
"""SQLite does what every database behind the stores has to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cais_registry.stores.commits import Commits
from cais_registry.stores.database import Database
from cais_registry.stores.sqlite_database import SqliteDatabase
from support.database_contract import *  # noqa: F403 - the tests


@pytest.fixture(params=["alone", "counted"])
def database(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    commits = Commits() if request.param == "counted" else None
    opened = SqliteDatabase.open(tmp_path / "metadata.sqlite3", commits=commits)
    yield opened
    opened.close()
