# SPDX-License-Identifier: Apache-2.0
"""The commands: `serve`, and the small clients of a running server.

Exit codes: 0 done, 1 failed, 2 a setting is wrong and nothing was touched.
"""

from __future__ import annotations

from collections.abc import Sequence

from cais_registry.cli.main import main as _main


def main(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: Without the program's name.

    Returns:
        The exit code.
    """
    return _main(arguments)
