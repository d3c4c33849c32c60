# SPDX-License-Identifier: Apache-2.0
from support.objectstore_fixtures import s3
from support.postgresql_fixtures import dsn, postgres
from support.searching import pytest_collection_modifyitems, search

__all__ = ["dsn", "postgres", "pytest_collection_modifyitems", "s3", "search"]
