# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from support.objectstore_fixtures import s3
from support.postgresql_fixtures import postgres
from support.registry import Server, running

__all__ = ["postgres", "repo", "s3", "server"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that is open to anyone, shared by the tests of a file."""
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture
def repo() -> str:
    """A repository that nobody else uses."""
    return f"tests/r{secrets.token_hex(8)}"
