# SPDX-License-Identifier: Apache-2.0
"""containerd's folder in tests of what is written there: what is wanted, and a picture of it."""

import stat
from pathlib import Path

from cais_operator.node_trust.entries import Entry
from cais_operator.node_trust.folder import Folder, Wanted
from cais_operator.node_trust.hosts import files
from operator_builders import authority

OWNER = "cais-system/cais-nodes"
HOST = "team.team-a.svc:5000"
LONG = "team.team-a.svc.cluster.local:5000"


def wanted(folder: Path, *names: str, address: str = "10.96.7.7") -> Wanted:
    entries = [
        Entry(
            namespace="team-a",
            name=name,
            addresses=(address,),
            port=5000,
            authority=authority().bundle,
        )
        for name in names
    ]
    return files(entries, directory=folder, domain="cluster.local", owner=OWNER)


def bring(folder: Path, *names: str, **options: str) -> list[str]:
    return Folder(folder, OWNER).bring(wanted(folder, *names, **options))


Picture = dict[str, tuple[int, str]]


def picture(folder: Path) -> Picture:
    """Everything below a folder: kind and mode, and what it holds or leads to."""
    found: Picture = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            text = str(path.readlink())
        else:
            text = path.read_text() if stat.S_ISREG(mode) else ""
        found[str(path.relative_to(folder))] = (mode, text)
    return found
