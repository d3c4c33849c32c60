# SPDX-License-Identifier: Apache-2.0
"""Fetch promtool, which tries Prometheus's rules: `python3 hack/promtool.py`.

It is taken out of Debian's package `prometheus`, which is not installed: that would bring a
server that runs, and building promtool would bring clients of every cloud.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import programs
from debian import DebianError

_PACKAGE = "prometheus"
_MEMBER = "./usr/bin/promtool"


def promtool() -> Path:
    """Return the path of the program promtool; it is fetched when it is missing.

    Raises:
        DebianError: It cannot be fetched; the message says why.
    """
    path = programs.cache_folder() / "programs" / "promtool" / "promtool"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as work:
            _fetch(Path(work)).replace(path)
    return path


def _fetch(work: Path) -> Path:
    if shutil.which("apt-get") is None:
        raise DebianError("promtool is taken from a Debian package, and there is no apt-get")
    if not _download(work):  # the lists of packages are missing, or old
        _run(["apt-get", "update", "-q"], work)
        if not _download(work):
            raise DebianError(f"the package {_PACKAGE} cannot be fetched: try apt-get update")
    (package,) = work.glob("*.deb")
    archive = work / "files.tar"
    _run(["dpkg-deb", "--fsys-tarfile", str(package)], work, archive)
    _run(["tar", "--extract", f"--file={archive}", _MEMBER], work)
    return work / _MEMBER


def _download(work: Path) -> bool:
    # the user that root's apt-get becomes may not write into the folder
    command = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", _PACKAGE]
    return subprocess.run(command, cwd=work, capture_output=True, check=False).returncode == 0


def _run(command: list[str], work: Path, output: Path | None = None) -> None:
    """Run a program; what it says goes to standard error, or into a file."""
    with (output or Path(os.devnull)).open("wb") as file:
        done = subprocess.run(
            command, cwd=work, stdout=file, stderr=subprocess.PIPE, text=True, check=False
        )
    if done.returncode:
        raise DebianError(f"{' '.join(command)}: {done.stderr.strip()}")


def main() -> int:
    """Fetch it; print nothing when it is there."""
    try:
        promtool()
    except DebianError as error:
        print(f"promtool.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
