# SPDX-License-Identifier: Apache-2.0
"""Install the Debian packages that are missing: `python3 hack/debian.py skopeo nginx-light`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable


class DebianError(Exception):
    """Packages are missing and cannot be installed; the message names them."""


def absent(packages: Iterable[str]) -> list[str]:
    """Return those of `packages` that are not installed."""
    return [name for name in dict.fromkeys(packages) if not _is_installed(name)]


def _is_installed(package: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    found = subprocess.run(query, capture_output=True, text=True, check=False)
    return found.returncode == 0 and found.stdout == "installed"


def install(packages: Iterable[str]) -> None:
    """Install Debian packages; none of their services is started.

    Raises:
        DebianError: Not root, or no Debian.
        subprocess.CalledProcessError: A package cannot be had.
    """
    names = list(packages)
    if not names:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise DebianError(f"these Debian packages are missing, install them: {' '.join(names)}")
    # what the machine's service manager starts would live outside the tests' own namespaces
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    # whoever installs at the same time is waited for
    lock = ["-o", "DPkg::Lock::Timeout=600"]
    subprocess.run(["apt-get", "update", "-q"], env=environment, check=True)
    options = ["--yes", "-q", "--no-install-recommends", *lock]
    subprocess.run(["apt-get", "install", *options, *names], env=environment, check=True)


def main(packages: list[str]) -> int:
    """Install what is missing; print nothing when nothing is."""
    try:
        install(absent(packages))
    except (DebianError, subprocess.CalledProcessError) as error:
        print(f"debian.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
