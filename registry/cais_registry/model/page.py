# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a listing.

    Attributes:
        items: What is on the page, in order.
        last: What to pass as `last` for the next page; None when this is the final one.
    """

    items: tuple[T, ...]
    last: str | None
