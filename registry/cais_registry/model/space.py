# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_LARGEST_RESERVE: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Space:
    """Room of a file system, in bytes.

    Attributes:
        capacity: All of it.
        available: What may still be written.
    """

    capacity: int
    available: int

    @property
    def reserve(self) -> int:
        """The low-water mark: the last room, kept for deletions and garbage collection.

        A twentieth of the file system, at most 64 MiB; pushes are refused rather than use it.
        """
        return min(_LARGEST_RESERVE, self.capacity // 20)

    @property
    def is_low(self) -> bool:
        """Whether people should hear of it: less than a tenth is left, or two reserves."""
        return self.available < max(self.capacity // 10, 2 * self.reserve)

    @property
    def is_ample(self) -> bool:
        """Whether it is over; above the mark of `is_low`, so that it does not come and go."""
        return self.available >= max(self.capacity * 3 // 20, 3 * self.reserve)

    @property
    def is_scarce(self) -> bool:
        """Whether pushes are refused, or will be soon."""
        return self.available < 2 * self.reserve
