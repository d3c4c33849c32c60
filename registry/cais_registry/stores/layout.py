# SPDX-License-Identifier: Apache-2.0
"""How a data folder is laid out, and whether a folder can be one.

data/
├── lock                                  held by the server that uses the folder, which it names
├── allowed-filesystem                    a kind of file system that somebody vouches for
├── gc.lock                               held while garbage collection runs
├── metadata.sqlite3 (-wal, -shm)         everything but the bytes of blobs
├── metadata.rebuilt.sqlite3              what a rebuild is working on
├── snapshots/metadata-<time>.sqlite3      copies of the database, one an hour, three at most
├── snapshots/before-schema-<n>.sqlite3    from before an upgrade that older programs cannot read
├── damaged/                              what a check of the store has moved aside
├── uploads/<upload id>                   bytes of uploads that go on
├── blobs/<algorithm>/<ab>/<abcdef...>/<upload id>       bytes of a blob; written once
└── manifests/<algorithm>/<ab>/<abcdef...>/<unique id>   copies of manifests, for a rebuild

No path is ever used twice: a path that was deleted never comes back with other content.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.stores.filesystems import kind_of, problem
from cais_registry.stores.folders import sync_folder
from cais_registry.stores.holders import holder, sign

DATABASE: Final = "metadata.sqlite3"
GC_LOCK: Final = "gc.lock"
_LOCK: Final = "lock"


class UnusableData(Exception):  # noqa: N818 - reads as the condition it is, like our other errors
    """The data folder cannot be used; the message is one line that says why and what to do."""


def upload_key(upload: str) -> str:
    """Where an upload's bytes are while it goes on."""
    return f"uploads/{upload}"


def blob_key(digest: Digest, upload: str) -> str:
    """Where the bytes of an upload that has become a blob are."""
    return f"blobs/{digest.algorithm}/{digest.encoded[:2]}/{digest.encoded}/{upload}"


def manifest_key(digest: Digest, unique: str) -> str:
    """Where the copy of a manifest is."""
    return f"manifests/{digest.algorithm}/{digest.encoded[:2]}/{digest.encoded}/{unique}"


def lock(data: Path) -> int:
    """Make sure that this server is the only one that uses a data folder.

    The lock belongs to the open file description: processes that inherit the descriptor share it,
    and it ends when the last of them has ended.

    Args:
        data: The folder; made when missing.

    Returns:
        The open, inheritable descriptor of `<data>/lock`; keep it open as long as the server runs.

    Raises:
        UnusableData: If another server holds the lock, or the folder cannot be written.
    """
    make(data)
    try:
        descriptor = os.open(data / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _cannot(data, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        who = holder(descriptor)
        os.close(descriptor)
        raise UnusableData(
            f"{data} is in use by another server{who}: stop that one first"
        ) from error
    sign(descriptor)
    os.set_inheritable(descriptor, True)
    return descriptor


def make(data: Path) -> None:
    """Make a data folder and the folders in it, durably, unless they are there.

    Raises:
        UnusableData: If that cannot be, or the folder's file system is not one of this machine.
    """
    try:
        _make_folders(data)
        mounts = Path("/proc/self/mountinfo").read_text("utf-8")
        found = problem(data, kind_of(mounts, data.resolve()))
        if found is not None:
            raise UnusableData(found)
        for name in ("uploads", "blobs", "manifests"):
            (data / name).mkdir(exist_ok=True)
        sync_folder(data)
    except OSError as error:
        raise _cannot(data, error) from error


def check_not_lost(data: Path, rebuild: str) -> None:
    """Refuse to begin anew where there was a registry: an empty database would answer for it.

    Args:
        data: The folder.
        rebuild: The command that brings a database back, for the message.

    Raises:
        UnusableData: If the folder holds images and no database.
    """
    database = data / DATABASE
    if database.exists() and database.stat().st_size:
        return
    kept = (*data.glob("snapshots/*.sqlite3"), *islice(_files(data / "manifests"), 1))
    if kept:
        raise UnusableData(
            f"{data} is a registry's, but its database {DATABASE} is not there:"
            f" `{rebuild}` brings it back"
        )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _make_folders(data: Path) -> None:
    """Make a folder and those above it; a new name is durable when its folder was synced."""
    new = [folder for folder in (data, *data.parents) if not folder.exists()]
    data.mkdir(parents=True, exist_ok=True)
    for folder in reversed(new):
        sync_folder(folder.parent)


def _cannot(data: Path, error: OSError) -> UnusableData:
    return UnusableData(
        f"{data} cannot be used as data folder: {error.strerror or error}; it has to be a folder "
        f"that user {os.geteuid()} may write"
    )
