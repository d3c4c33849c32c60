# SPDX-License-Identifier: Apache-2.0
"""Versions of the tables: the scripts that make them, and who may run on what they left.

A migration says in a line `-- Compatible from: N` which schema a program has to know at least to
run on its result; without the line, its own. What is only added leaves the programs from before at
work; what is taken away or changes its meaning does not (docs/adr/0041). The database remembers it,
because a program from before cannot read the scripts of a later one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Final

from cais_registry import __version__
from cais_registry.stores.connection import Row
from cais_registry.stores.layout import UnusableData

REMEMBERED: Final = 7
"""The first migration of which the database remembers who made it, and who may run on it."""

REMEMBER: Final = (
    "INSERT INTO schema_version (version, compatible_from, program)"
    " VALUES (:version, :compatible_from, :program)"
)

_LINE: Final = re.compile(r"^-- Compatible from: ([0-9]+)$", re.MULTILINE)


class SchemaUnknown(UnusableData):
    """A newer version of the program has changed the tables so that this one may not use them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One script.

    Attributes:
        version: Of the schema that it brings about.
        script: SQL.
        compatible_from: The oldest schema whose programs may run on the result.
    """

    version: int
    script: str
    compatible_from: int

    @property
    def row(self) -> dict[str, int | str]:
        """What the database remembers of it."""
        return {
            "version": self.version,
            "compatible_from": self.compatible_from,
            "program": __version__,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A migration that a database has seen.

    Attributes:
        version: Of the schema.
        compatible_from: See `Migration`.
        program: Version of the program that has applied it.
    """

    version: int
    compatible_from: int
    program: str

    @classmethod
    def of(cls, row: Row) -> Applied:
        """Read what `REMEMBER` has written."""
        return cls(
            version=row["version"], compatible_from=row["compatible_from"], program=row["program"]
        )


def numbered(folder: Traversable) -> dict[int, Migration]:
    """The migrations `NNNN_what.sql` of a folder, by their numbers.

    Raises:
        ValueError: If two have the same number: one of them would never be applied.
    """
    found: dict[int, Migration] = {}
    for script in sorted(folder.iterdir(), key=lambda one: one.name):
        if not (script.name.endswith(".sql") and script.name[:4].isdigit()):
            continue
        number = int(script.name[:4])
        if number in found:
            raise ValueError(f"{script.name}: another migration has the number {number}")
        found[number] = migration(number, script.read_text("utf-8"))
    return found


def migration(version: int, script: str) -> Migration:
    """Return a migration, with whom its script says it to be compatible."""
    line = _LINE.search(script)
    oldest = int(line[1]) if line else version
    return Migration(version=version, script=script, compatible_from=oldest)


def check_usable(
    found: int, applied: Sequence[Applied], known: Mapping[int, Migration], *, where: str, back: str
) -> None:
    """Make sure that this program may run on a database, which may be newer.

    Args:
        found: Version of its schema.
        applied: What it remembers of its migrations.
        known: The migrations of this program.
        where: What it is called.
        back: How to go back to what was before, for the message.

    Raises:
        SchemaUnknown: If it may not; says which program can, and how to go back.
    """
    newest = max(known)
    if found <= newest:
        return
    later = {one.version: one for one in applied if one.version > newest}
    is_known = set(later) == set(range(newest + 1, found + 1))
    needed = max(one.compatible_from for one in later.values()) if is_known else found
    if needed <= newest:
        return
    program = later[found].program if found in later else ""
    raise SchemaUnknown(
        f"{where} has schema {found}, and only a program that knows schema {needed} may use it; "
        f"this one, {__version__}, knows up to {newest}: run version "
        f"{program or 'that wrote it'} or newer, or {back}"
    )


def breaks(found: int, known: Mapping[int, Migration]) -> int | None:
    """Return the first migration still to come after which the programs from before cannot run."""
    ahead = (one for one in known.values() if one.version > found)
    return next((one.version for one in ahead if one.compatible_from > found > 0), None)


def statements(script: str) -> list[str]:
    """Part a script into statements; they end with `;` at the end of a line."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    parts = "\n".join(lines).split(";\n")
    return [part.strip().rstrip(";") for part in parts if part.strip().rstrip(";")]
