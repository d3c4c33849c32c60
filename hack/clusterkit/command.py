# SPDX-License-Identifier: Apache-2.0
"""Running other programs, and telling the person what is going on."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STARTED = time.monotonic()


class ClusterError(Exception):
    """Something the cluster needs cannot be had; the message says what and what to do."""


def say(text: str) -> None:
    """Print one line of progress with the time since the start in seconds."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def bound(command: Sequence[str]) -> list[str]:
    """Return the command as one that ends when we end, also when we are killed."""
    return ["setpriv", "--pdeathsig", "KILL", *command]


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    text: str | None = None,
    log: Path | None = None,
) -> None:
    """Run a program to its good end.

    Args:
        command: Program and arguments.
        environment: Its environment; ours when not given.
        text: What it reads from its input.
        log: File for what it prints; the terminal when not given.

    Raises:
        ClusterError: It ended badly; with the end of what it printed.
    """
    done = subprocess.run(
        bound(command),
        env=environment,
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        text=True,
        check=False,
        stdout=subprocess.PIPE if log else sys.stderr,
        stderr=subprocess.STDOUT if log else None,
    )
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout)
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:]) if log else ""
        what = " ".join(command)
        raise ClusterError(f"{what}: exit code {done.returncode}\n{tail}".rstrip())


def output(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> str | None:
    """Return what a program prints, None when it ends badly or is not there."""
    try:
        done = subprocess.run(
            bound(command),
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout
