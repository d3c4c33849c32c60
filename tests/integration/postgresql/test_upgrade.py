# SPDX-License-Identifier: Apache-2.0
"""A server and the one before it, on one PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from cais_registry.stores import postgresql_migrate
from core_support import World
from support.upgrade_contract import *  # noqa: F403 - the tests
from support.upgrade_contract import Steps


@pytest.fixture
def world(tmp_path: Path, dsn: str) -> World:
    return World(tmp_path / "data", database_url=dsn)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(postgresql_migrate, monkeypatch, postgresql_migrate.scripts())
