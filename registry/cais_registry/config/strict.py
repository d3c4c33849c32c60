# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Base of every block: an unknown field is an error, not a surprise later."""
