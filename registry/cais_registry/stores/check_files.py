# SPDX-License-Identifier: Apache-2.0
"""What a check of the store does with files. Every function blocks; callers run them in threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import new
from pathlib import Path
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import DigestInvalid
from cais_registry.stores.folders import sync_folder

ASIDE: Final = "damaged"
"""Folder that damaged bytes are moved to; nothing reads it."""

_FOLDERS: Final = ("blobs", "manifests", "uploads")
_BLOCK: Final = 1 << 20


def files(root: Path) -> Iterator[tuple[str, int]]:
    """All files with content, as storage key and size; what vanishes meanwhile is left out."""
    for name in _FOLDERS:
        for folder, _, names in os.walk(root / name):
            for file in names:
                path = Path(folder, file)
                try:
                    yield str(path.relative_to(root)), path.stat().st_size
                except FileNotFoundError:
                    continue


def digest_folders(root: Path, name: str) -> Iterator[tuple[Digest, list[tuple[str, int]]]]:
    """What is under each digest, as storage keys and sizes; other names are left out.

    Args:
        root: The data folder.
        name: `blobs` or `manifests`.
    """
    for folder, _, files_ in os.walk(root / name):
        try:
            digest = Digest.parse(f"{Path(folder).parents[1].name}:{Path(folder).name}")
        except DigestInvalid:
            continue
        paths = [Path(folder, file) for file in sorted(files_)]
        yield digest, [(str(path.relative_to(root)), path.stat().st_size) for path in paths]


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
