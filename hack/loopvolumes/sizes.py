# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities of storage."""

import math
import re
from decimal import Decimal

QUANTITY = re.compile(r"^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E|m|[eE][0-9]+)?$")
DECIMAL = "kMGTPE"
BINARY = "KMGTPE"


def to_bytes(text: str) -> int:
    """Return a quantity such as `10Gi`, `1.5G` or `1e9` in bytes, rounded up.

    Raises:
        ValueError: It is no quantity.
    """
    found = QUANTITY.match(text)
    if not found:
        raise ValueError(f"{text!r} is not a quantity such as 10Gi")
    number, unit = Decimal(found[1]), found[2] or ""
    return math.ceil(number * _factor(unit))


def _factor(unit: str) -> Decimal:
    if not unit:
        return Decimal(1)
    if unit == "m":
        return Decimal("0.001")
    if unit.endswith("i"):
        return Decimal(1024) ** (BINARY.index(unit[0]) + 1)
    if unit[1:].isdigit():
        return Decimal(10) ** int(unit[1:])
    return Decimal(1000) ** (DECIMAL.index(unit) + 1)
