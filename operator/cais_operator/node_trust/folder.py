# SPDX-License-Identifier: Apache-2.0
"""containerd's `certs.d`, kept as it should be without touching anything that is not ours.

A file is ours when its first line says so, a folder when its `hosts.toml` is (or, while it is being
removed, its `ca.crt`), and everything in `.cais-staging`. A folder appears whole, by one rename; a
file changes by one rename; everything is synced before it can be seen. A kill at any moment leaves
what the next run takes up. A lock keeps a second pod out, of an update for instance.
"""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto
from pathlib import Path

from cais_operator.node_trust.hosts import AUTHORITY, FILES, HOSTS, marker, shadow

STAGING = ".cais-staging"
_FOLDER, _FILE = 0o755, 0o644
_LARGEST = 1 << 20  # bytes that are read of a file; ours have less
_log = logging.getLogger(__name__)

Wanted = Mapping[str, Mapping[str, str]]  # host to file name to text


class _State(Enum):
    ABSENT = auto()
    OURS = auto()
    BEGUN = auto()  # made by us, and then we were killed
    FOREIGN = auto()


class Folder:
    """One `certs.d`, and the installation that writes to it."""

    def __init__(self, path: Path, owner: str) -> None:
        self._path = path
        self._staging = path / STAGING
        self._marker = marker(owner).encode()

    def bring(self, wanted: Wanted) -> list[str]:
        """Write what is wanted and differs, and remove what is ours and not wanted.

        Returns:
            What could not be done, in words, one for each host; empty when all is as wanted.
        """
        problems: list[str] = []
        try:
            with self._locked():
                for host, files in wanted.items():
                    problems += self._tried(host, lambda: self._write(host, files))  # noqa: B023 - called at once
                for name in sorted(path.name for path in self._path.iterdir()):
                    if name not in wanted and name != STAGING:
                        problems += self._tried(name, lambda: self._remove(name))  # noqa: B023 - see above
                if not problems and self._is_folder(self._staging):
                    shutil.rmtree(self._staging)
        except OSError as error:
            problems.append(f"{self._path}: {error.strerror}")
        return problems

    def _tried(self, host: str, act: Callable[[], str | None]) -> list[str]:
        try:
            problem = act()
        except OSError as error:
            problem = f"{self._path / host}: {error.strerror}"
        return [problem] if problem else []

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise OSError(errno.EWOULDBLOCK, "another pod is writing to it") from None
        finally:
            os.close(descriptor)

    def _write(self, host: str, files: Mapping[str, str]) -> str | None:
        state, target = self._state(host), self._path / host
        if state is _State.FOREIGN:
            return f"{target} is not ours and was left as it is: remove it, or keep it up yourself"
        if state is _State.ABSENT:
            self._stage(host, files)
            self._claim(host)
        if state in (_State.ABSENT, _State.BEGUN):
            (self._staging / host).rename(target)  # fails when something was put into it meanwhile
            _sync(self._path)
            _log.info("wrote %s", target)
        problem = self._update(target, files)
        if problem is None and (self._path / shadow(host)).exists():
            problem = f"{self._path / shadow(host)} is not ours, and containerd prefers it"
        return problem

    def _claim(self, host: str) -> None:
        """Make the folder, empty; it is ours as long as its contents wait in the staging folder."""
        try:
            (self._path / host).mkdir(mode=_FOLDER)
        except FileExistsError:  # somebody made one meanwhile
            shutil.rmtree(self._staging / host)
            raise

    def _update(self, target: Path, files: Mapping[str, str]) -> str | None:
        """Bring the files of a folder that is ours up to date."""
        differ = [name for name in FILES if _read(target / name) != files.get(name, "").encode()]
        for name in differ:
            if _exists(target / name) and not self._is_ours(target / name):
                return f"{target / name} is not ours and was left as it is"
        if not differ:
            return None
        self._stage(target.name, files)
        for name in differ:
            if name in files:
                (self._staging / target.name / name).rename(target / name)
            else:
                (target / name).unlink(missing_ok=True)
        _sync(target)
        _log.info("changed %s in %s", " and ".join(differ), target)
        return None

    def _remove(self, name: str) -> str | None:
        """Remove what is ours, `hosts.toml` first; a folder stays when anything else is in it."""
        state, target = self._state(name), self._path / name
        if state not in (_State.OURS, _State.BEGUN):
            return None
        if state is _State.OURS:
            self._stage(name, {})  # whose the folder is, once it is empty
        for file in (HOSTS, AUTHORITY):
            if self._is_ours(target / file):
                (target / file).unlink()
                _sync(target)
        _log.info("removed what was ours in %s", target)
        with contextlib.suppress(OSError):  # it is not empty
            target.rmdir()
            _sync(self._path)
        return None

    def _stage(self, host: str, files: Mapping[str, str]) -> None:
        """Write files where nobody looks, and sync them."""
        folder = self._staging / host
        with contextlib.suppress(FileExistsError):
            self._staging.mkdir(mode=_FOLDER)
        if not self._is_folder(self._staging):
            raise NotADirectoryError(errno.ENOTDIR, f"{self._staging} is not a folder")
        if _exists(folder):
            shutil.rmtree(folder)
        folder.mkdir(mode=_FOLDER)
        for name, text in files.items():
            with (folder / name).open("xb") as stream:
                os.fchmod(stream.fileno(), _FILE)
                stream.write(text.encode())
                stream.flush()
                os.fsync(stream.fileno())
        _sync(folder)
        _sync(self._staging)

    def _state(self, host: str) -> _State:
        target = self._path / host
        if not _exists(target):
            return _State.ABSENT
        if not self._is_folder(target):
            return _State.FOREIGN
        try:
            found = {path.name for path in target.iterdir()}
        except PermissionError:  # root without capabilities cannot read everything
            return _State.FOREIGN
        first = HOSTS if HOSTS in found else AUTHORITY
        if first in found and self._is_ours(target / first):
            return _State.OURS
        is_staged = self._is_folder(self._staging) and _exists(self._staging / host)
        return _State.BEGUN if is_staged and not found else _State.FOREIGN

    def _is_ours(self, file: Path) -> bool:
        return _read(file).startswith(self._marker)

    def _is_folder(self, path: Path) -> bool:
        return _exists(path) and stat.S_ISDIR(path.lstat().st_mode)


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _read(file: Path) -> bytes:
    """Return what is in a regular file; nothing if it is absent, a link or not to be read."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EACCES):
            return b""
        raise
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, _LARGEST) if is_file else b""
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
