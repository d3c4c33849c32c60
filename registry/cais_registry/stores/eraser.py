# SPDX-License-Identifier: Apache-2.0
"""Deletes files: a few here, many by a process of its own (see `folders`)."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cais_registry.stores import folders

_LOG = logging.getLogger(__name__)
MANY: Final = 64
"""Files whose deletion takes longer than to start a process."""


def erase(root: Path, keys: Sequence[str]) -> list[str]:
    """Delete files, see `folders.erase`; blocks.

    Returns:
        The keys whose files could not be deleted.
    """
    if len(keys) >= MANY:
        try:
            return _apart(root, keys)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            _LOG.warning("files are deleted here, as a process for it failed: %s", error)
    return folders.erase(str(root), keys)


def _apart(root: Path, keys: Sequence[str]) -> list[str]:
    command = [sys.executable, "-I", "-S", folders.__file__, str(root)]
    done = subprocess.run(
        command,
        input=folders.encode(keys),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        check=True,
    )
    return folders.decode(done.stdout)
