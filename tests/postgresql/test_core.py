# SPDX-License-Identifier: Apache-2.0
"""The core over PostgreSQL: all that is promised over SQLite."""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from cais_registry.model.policy import Policy
from core_support import HOUR, World
from registry.test_blobs import *  # noqa: F403 - the tests
from registry.test_collector import *  # noqa: F403 - the tests
from registry.test_listings import *  # noqa: F403 - the tests
from registry.test_manifests import *  # noqa: F403 - the tests
from registry.test_referrers import *  # noqa: F403 - the tests
from registry.test_undelete import *  # noqa: F403 - the tests
from registry.test_uploads import *  # noqa: F403 - the tests
from support.postgresql import Cluster

del test_a_page_is_the_same_as_if_all_names_were_asked_about  # noqa: F821 - has SQLite of its own
del test_an_upload_that_somebody_dropped_at_the_last_moment_becomes_no_blob  # noqa: F821 - likewise
del test_many_children_and_deep_indexes_go_in_one_run  # noqa: F821 - only large
del test_runs_are_remembered_up_to_a_bound  # noqa: F821 - likewise


@pytest.fixture(scope="module")
def database(postgres: Cluster) -> str:
    """One for all of these tests, each of which has a schema of its own: they cost less."""
    return postgres.create(f"core_{secrets.token_hex(6)}")


@pytest.fixture(name="world")
def world_on_postgresql(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> World:
    schema = f"s{secrets.token_hex(6)}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    dsn = f"{database} options='-c search_path={schema}'"
    collects = request.function.__module__.endswith("test_collector")
    window = timedelta(0) if collects else HOUR
    policy = Policy(push_lease=HOUR, undelete_window=window)
    return World(tmp_path / "data", policy=policy, database_url=dsn)
