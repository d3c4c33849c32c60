# SPDX-License-Identifier: Apache-2.0
"""What a check of the store does with files. Every function blocks; callers run them in threads."""

from __future__ import annotations

from hashlib import new
from pathlib import Path
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.stores.folders import sync_folder

ASIDE: Final = "damaged"
"""Folder that damaged bytes are moved to; nothing reads it."""

_BLOCK: Final = 1 << 20


def digest_of(path: Path, algorithm: str) -> Digest | None:
    """Hash a file; None if there is none."""
    hasher = new(algorithm, usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                hasher.update(block)
    except FileNotFoundError:
        return None
    return Digest.parse(f"{algorithm}:{hasher.hexdigest()}")


def set_aside(root: Path, key: str) -> Path | None:
    """Move damaged bytes where nothing finds them any more; they are kept for people.

    Returns:
        Where they are now; None if they were gone already.
    """
    folder = root / ASIDE
    folder.mkdir(exist_ok=True)
    source, target = root / key, folder / key.replace("/", "_")
    try:
        source.rename(target)
    except FileNotFoundError:
        return None
    for changed in (root, folder, source.parent):
        sync_folder(changed)
    return target
