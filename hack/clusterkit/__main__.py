# SPDX-License-Identifier: Apache-2.0
"""The command line of `hack/cluster`."""

import argparse
import sys
from pathlib import Path

from clusterkit import images, lifecycle, shell, trust
from clusterkit.command import ClusterError
from clusterkit.places import Places, places


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="hack/cluster", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="bring the cluster up, or repair it")
    commands.add_parser("down", help="remove the cluster and all it started")
    commands.add_parser("status", help="say what runs")
    commands.add_parser("engine", help="start only the engine, to build images")
    commands.add_parser("base-image", help="make the images' base where none can be pulled")
    built = commands.add_parser("images", help="build the project's images")
    built.add_argument("--push", default="", metavar="REGISTRY/PREFIX", help="also push them")
    opened = commands.add_parser("shell", help="a shell, or a command line, beside the engine")
    opened.add_argument("line", nargs="?", default="")
    host = commands.add_parser("host", help="give the engine the address of a name")
    host.add_argument("name")
    host.add_argument("address")
    trusted = commands.add_parser("trust", help="let the engine use a registry")
    trusted.add_argument("registry", metavar="HOST:PORT")
    trusted.add_argument("address")
    trusted.add_argument("authority", metavar="CA_FILE", type=Path)
    load = commands.add_parser("load", help="put images of the engine onto the node")
    load.add_argument("images", nargs="+", metavar="IMAGE")
    return top


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    wanted = parser().parse_args(arguments)
    where = places()
    try:
        if wanted.command == "status":
            return lifecycle.status(where)
        if wanted.command == "shell":
            return shell.shell(lifecycle.current(where), wanted.line)
        with lifecycle.locked(where):
            _change(where, wanted)
    except ClusterError as refused:
        print(f"hack/cluster {wanted.command}: {refused}", file=sys.stderr)
        return 1
    return 0


def _change(where: Places, wanted: argparse.Namespace) -> None:
    kind = lifecycle.current(where)
    match wanted.command:
        case "up":
            lifecycle.up(where, lifecycle.choice())
        case "down":
            lifecycle.down(where)
        case "engine":
            lifecycle.start_engine(where, lifecycle.choice())
        case "images":
            engine_of = lifecycle.start_engine(where, lifecycle.choice())
            images.build(engine_of, push=wanted.push)
        case "base-image":
            print(images.base_image(lifecycle.start_engine(where, lifecycle.choice())))
        case "host":
            trust.add_host(kind, wanted.name, wanted.address)
        case "trust":
            trust.trust(kind, wanted.registry, wanted.address, wanted.authority)
        case "load":
            kind.load(wanted.images)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
