# SPDX-License-Identifier: Apache-2.0
"""What the SQL of this room is written against, so that another database can stand behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = str | int | bytes | None
Params: TypeAlias = Mapping[str, Value]


class Row(Protocol):
    """One row of an answer; columns by name."""

    def __getitem__(self, column: str, /) -> Any:  # noqa: ANN401 - a column has any SQL type
        ...


class Connection(Protocol):
    """One transaction, as the functions that read and write rows see it.

    SQL is portable: named parameters (`:name`), `RETURNING`, `ON CONFLICT`; no dialect.
    """

    @property
    def now(self) -> int:
        """Time of the transaction in microseconds since 1970; no two writes share one."""

    def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        """Run one statement and return all its rows."""

    def rows(self, sql: str, params: Params | None = None) -> Iterator[Row]:
        """Run one query and hand its rows out one by one, for answers of any length."""


def one(connection: Connection, sql: str, params: Params) -> Row | None:
    """The first row of an answer, or None."""
    rows = connection.execute(sql, params)
    return rows[0] if rows else None


def values(rows: Sequence[Sequence[Value]]) -> tuple[str, dict[str, Value]]:
    """`(:v0, :v1), (:v2, :v3)`, for a statement about many rows at once, and its parameters."""
    params: dict[str, Value] = {}
    listed = []
    for row in rows:
        names = [f"v{len(params) + place}" for place in range(len(row))]
        params.update(zip(names, row, strict=True))
        listed.append(f"({', '.join(f':{name}' for name in names)})")
    return ", ".join(listed), params
