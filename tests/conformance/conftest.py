# SPDX-License-Identifier: Apache-2.0
from support.postgresql_fixtures import dsn, postgres

__all__ = ["dsn", "postgres"]
