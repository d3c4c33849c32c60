# SPDX-License-Identifier: Apache-2.0
"""Sees which files and folders are made durable, in order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def watch_syncs(patch: pytest.MonkeyPatch) -> list[Path]:
    """Paths that are synced from now on; the list grows."""
    synced: list[Path] = []
    real = os.fsync

    def spied(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    patch.setattr(os, "fsync", spied)
    return synced
