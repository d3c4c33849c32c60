# SPDX-License-Identifier: Apache-2.0
"""Immutable tags, read-only and quota hold over SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from core_support import World
from support.limits_contract import *  # noqa: F403 - the tests
from support.quota_contract import *  # noqa: F403 - the tests


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")
