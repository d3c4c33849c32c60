# SPDX-License-Identifier: Apache-2.0
"""Files and functions stay small: the limits of CONTRIBUTING.md."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
FILE_LINES: Final = 300
FUNCTION_LINES: Final = 40

# Larger than they may be, and still to be split. Nothing is added here.
TO_SPLIT: Final = frozenset(
    {
        "tests/registry/test_collector.py",
        "tests/registry/test_stateful.py",
        "tests/registry/test_uploads.py",
    }
)


def too_large(name: str, text: str) -> Iterator[str]:
    """Name the file, and each function of it, that has more lines than allowed."""
    if len(text.splitlines()) > FILE_LINES:
        yield name
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            last = node.end_lineno or node.lineno
            if last - node.lineno + 1 > FUNCTION_LINES:
                yield f"{name} {node.name}"


@pytest.mark.parametrize("folder", ["registry", "operator", "kubectl", "hack", "tests", "bench"])
def test_files_and_functions_keep_to_the_limits(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = {
        one
        for file in files
        for one in too_large(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))
    }
    assert found <= TO_SPLIT


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\n" * FILE_LINES, []),
        ("\n" * (FILE_LINES + 1), ["f.py"]),
        ("def f():\n" + "    pass\n" * (FUNCTION_LINES - 1), []),
        ("def f():\n" + "    pass\n" * FUNCTION_LINES, ["f.py f"]),
        ("async def f():\n" + "    pass\n" * FUNCTION_LINES, ["f.py f"]),
    ],
)
def test_one_line_over_a_limit_is_seen(text: str, found: list[str]) -> None:
    assert list(too_large("f.py", text)) == found
