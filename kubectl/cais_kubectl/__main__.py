# SPDX-License-Identifier: Apache-2.0
"""The command `kubectl cais`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from cais_kubectl import __version__
from cais_kubectl.commands import doctor, gc, login, ls, status, usage
from cais_kubectl.errors import INTERRUPTED, Failure
from cais_kubectl.output import plain
from cais_kubectl.session import opened

COMMANDS: Final = {
    "status": status,
    "usage": usage,
    "gc": gc,
    "ls": ls,
    "login": login,
    "doctor": doctor,
}
_INTRO: Final = """\
Private container registries as a Kubernetes resource. Works as you do with kubectl: your
kubeconfig, context, namespace and rights.
"""
_CODES: Final = """\
exit codes: 0 done and nothing is wrong; 1 something is wrong, as it says; 2 wrong command line,
nobody was asked; 3 the cluster or the registry could not be asked, or refused; 130 Ctrl-C

examples:
  kubectl cais status -A                 all Registries, and what to look at
  kubectl cais login -n team-a team      docker login, with the password from its Secret
  kubectl cais ls -n team-a team tools/app
  kubectl cais gc -n team-a team --dry-run --wait
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line, all of it."""
    whole = argparse.ArgumentParser(
        prog="kubectl cais",
        description=_INTRO,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"kubectl-cais {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_to(
            commands.add_parser(
                name,
                help=command.SUMMARY,
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
        )
    return whole


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = parser().parse_args(arguments)
    try:
        with opened(options) as session:
            code: int = COMMANDS[options.command].run(options, session)
        sys.stdout.flush()
    except Failure as failure:
        print(plain(f"kubectl cais {options.command}: {failure}"), file=sys.stderr)
        return failure.code
    except BrokenPipeError:  # whoever reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run())


if __name__ == "__main__":
    main()
