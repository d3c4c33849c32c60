# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from support.postgresql import Cluster, cluster


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """One PostgreSQL for all tests of a worker."""
    with cluster() as started:
        yield started


@pytest.fixture
def dsn(postgres: Cluster) -> str:
    """An empty database of a test's own."""
    return postgres.create(f"test_{secrets.token_hex(6)}")
