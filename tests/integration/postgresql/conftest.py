# SPDX-License-Identifier: Apache-2.0
from support.objectstore_fixtures import s3
from support.postgresql_fixtures import dsn, postgres

__all__ = ["dsn", "postgres", "s3"]
