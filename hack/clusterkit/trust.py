# SPDX-License-Identifier: Apache-2.0
"""Names and authorities of registries, for the engine; never the machine's own files."""

from pathlib import Path

from clusterkit import engine
from clusterkit.command import ClusterError
from clusterkit.kind import Kind


def with_host(hosts: str, name: str, address: str) -> str:
    """Return the text of a hosts file in which `name` has this address and no other."""
    lines = []
    for line in hosts.splitlines():
        entry, mark, comment = line.partition("#")
        words = entry.split()
        if name not in words[1:]:
            lines.append(line)
            continue
        rest = [word for word in words[1:] if word != name]
        if rest:
            lines.append(f"{words[0]} {' '.join(rest)}{' ' + mark + comment if mark else ''}")
    return "\n".join([*lines, f"{address} {name}"]) + "\n"


def split(registry: str) -> tuple[str, str]:
    """Return host and port of `HOST:PORT`.

    Raises:
        ClusterError: It is something else.
    """
    host, colon, port = registry.rpartition(":")
    if not (host and colon and port.isdigit()) or set(host) & set("/ \t"):
        raise ClusterError(f"{registry!r} is not HOST:PORT such as team.team-a.svc:5000")
    return host, port


def add_host(kind: Kind, name: str, address: str) -> None:
    """Let the engine, and every shell beside it, resolve `name` to `address`.

    Raises:
        ClusterError: The engine is the machine's own, whose files are not ours.
    """
    file = _engine_root(kind) / "etc" / "hosts"
    text = file.read_text()
    changed = with_host(text, name, address)
    if changed != text:
        file.write_text(changed)


def trust(kind: Kind, registry: str, address: str, authority: Path) -> None:
    """Let the engine reach the registry `HOST:PORT` at `address`, and believe its CA.

    Raises:
        ClusterError: `registry` is not HOST:PORT, no cluster runs, or the file cannot be read.
    """
    host, _ = split(registry)
    try:
        certificate = authority.read_text()
    except OSError as unreadable:
        raise ClusterError(f"the CA file {authority}: {unreadable.strerror}") from unreadable
    add_host(kind, host, address)
    folder = _engine_root(kind) / "etc" / "docker" / "certs.d" / registry
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.crt").write_text(certificate)


def _engine_root(kind: Kind) -> Path:
    if not kind.own_engine:
        raise ClusterError(
            "the engine is the machine's own: its /etc/hosts and /etc/docker/certs.d stay as they"
            " are; add name and CA there yourself, or use CLUSTER_ENGINE=own"
        )
    return engine.root_view(kind.where)
