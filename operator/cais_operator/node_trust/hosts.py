# SPDX-License-Identifier: Apache-2.0
"""The two files of a host that containerd reads at each pull. Pure."""

from collections.abc import Iterable
from pathlib import Path

from cais_operator.node_trust.entries import Entry

HOSTS = "hosts.toml"
AUTHORITY = "ca.crt"
FILES = (AUTHORITY, HOSTS)  # in the order of writing: the second one refers to the first


def marker(owner: str) -> str:
    """Return the first line of every file that is ours.

    Args:
        owner: Which installation: `namespace/name` of its document.
    """
    return f"# Written by Cais for {owner}. Without this line the file is yours, and stays.\n"


def files(
    entries: Iterable[Entry], *, directory: Path, domain: str, owner: str
) -> dict[str, dict[str, str]]:
    """Return name and text of each file, by the name of its folder, which is a host.

    Args:
        entries: The registries.
        directory: Where the folders are, on the node.
        domain: DNS domain of the cluster.
        owner: See `marker`.
    """
    return {
        host: _files(entry, host, directory / host, marker(owner))
        for entry in entries
        for host in entry.hosts(domain)
    }


def _files(entry: Entry, host: str, folder: Path, first: str) -> dict[str, str]:
    """Return the files of one host.

    The address comes first because a node resolves no name of a Service. containerd 1.6 takes no
    file without a `[host]` table.
    """
    lines = [first, f'server = "{entry.scheme}://{host}"\n']
    for address in entry.addresses:
        lines.append(f'\n[host."{entry.scheme}://{_in_url(address)}:{entry.port}"]\n')
        lines.append('  capabilities = ["pull", "resolve"]\n')
        if entry.authority:
            lines.append(f'  ca = "{folder / AUTHORITY}"\n')
    found = {HOSTS: "".join(lines)}
    return found | ({AUTHORITY: first + entry.authority} if entry.authority else {})


def shadow(host: str) -> str:
    """Return the folder that containerd looks into before that of the host itself."""
    name, _, port = host.rpartition(":")
    return f"{name}_{port}_"


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address
