# SPDX-License-Identifier: Apache-2.0
"""A shell beside the engine: its loopback, its names, the addresses of Services."""

import os
import subprocess
from pathlib import Path

from clusterkit import engine
from clusterkit.kind import Kind

ENTER = 'cd "$0" && exec "$@"'


def shell(kind: Kind, command: str) -> int:
    """Run a command line, or an interactive shell, beside the engine; return its exit code.

    Args:
        kind: The cluster.
        command: A command line for bash; empty for an interactive shell.

    Raises:
        ClusterError: No engine runs.
    """
    environment = kind.environment
    words = ["bash", "-c", command] if command else ["bash", "--norc"]
    if not command:
        environment["PS1"] = "(cais) \\w \\$ "
    if kind.own_engine:
        folder = os.environ.get("CLUSTER_FOLDER") or str(Path.cwd())
        words = engine.inside(kind.where, ["bash", "-c", ENTER, folder, *words])
    return subprocess.run(words, env=environment, check=False).returncode
