# SPDX-License-Identifier: Apache-2.0
"""`cais-registry`, and `python -m cais_registry`."""

from __future__ import annotations

import sys

from cais_registry import cli


def main() -> int:
    """Run the command line and return its exit code."""
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
