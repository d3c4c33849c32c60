# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities, written as the API server stores them.

An apply of `1024Mi` comes back as `1Gi`; the operator compares what it wants with what is there,
so it has to want the canonical form. The rules are those of `resource.Quantity` of apimachinery:
no fraction, the largest suffix that loses nothing, the family of suffixes (binary, decimal,
exponent) of the input; a binary quantity under 1024 is written as a decimal one.
"""

import re
from dataclasses import dataclass, field
from decimal import ROUND_UP, Context, Decimal

PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
RULE = "must be a quantity such as 10Gi, 500Mi, 250m or 2"

_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BASE = 1024
_NANO = Decimal("1e-9")
_EXACT = Context(prec=60)  # more digits than any quantity has; the default 28 would round some
_LONGEST = 64  # characters


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """An amount; compared by value, shown in canonical form."""

    amount: Decimal
    binary: bool = field(default=False, compare=False)

    @classmethod
    def parse(cls, text: str | int) -> "Quantity":
        """Read `10Gi`, `0.5`, `250m` or a bare integer.

        Raises:
            ValueError: With the rule that was broken.
        """
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([a-zA-Z]*)", str(text)[: _LONGEST + 1])
        if found is None or len(str(text)) > _LONGEST or not re.fullmatch(PATTERN, str(text)):
            raise ValueError(RULE)
        number, suffix = Decimal(found[1]), found[2]
        binary = suffix.endswith("i")
        factor = Decimal(_BASE ** _BINARY.index(suffix)) if binary else _ten(_DECIMAL[suffix])
        amount = _EXACT.multiply(number, factor)
        return cls(amount.quantize(_NANO, rounding=ROUND_UP, context=_EXACT), binary=binary)

    @property
    def whole(self) -> int:
        """The amount, rounded up: bytes, say, of which there is no half."""
        return int(self.amount.to_integral_value(rounding=ROUND_UP))

    def __str__(self) -> str:
        """Return the canonical form."""
        if self.binary and self.amount >= _BASE:
            return self._in_binary()
        return self._in_decimal()

    def _in_binary(self) -> str:
        whole = self.whole
        power = 0
        while whole % _BASE == 0 and power < len(_BINARY) - 1:
            whole, power = whole // _BASE, power + 1
        return f"{whole}{_BINARY[power]}"

    def _in_decimal(self) -> str:
        if not self.amount:
            return "0"
        for suffix, power in reversed(_DECIMAL.items()):
            scaled = _EXACT.divide(self.amount, _ten(power))
            if scaled == scaled.to_integral_value():
                return f"{int(scaled)}{suffix}"
        raise AssertionError("a quantity is a whole number of nanos")  # pragma: no cover


def _ten(power: int) -> Decimal:
    return Decimal(10) ** power
