# SPDX-License-Identifier: Apache-2.0
from support.postgresql_fixtures import postgres

__all__ = ["postgres"]
