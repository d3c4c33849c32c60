# SPDX-License-Identifier: Apache-2.0
"""A command of `cais-registry` without a process of its own, for tables of many cases.

That the program starts and ends with what the command returns is shown where it runs as one.
"""

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

from cais_registry import cli


def run_command(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = cli.main(arguments)
    return code, out.getvalue(), err.getvalue()
