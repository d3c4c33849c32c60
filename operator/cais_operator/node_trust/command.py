# SPDX-License-Identifier: Apache-2.0
"""The command line of `cais-operator node-trust`."""

import argparse
from pathlib import Path

from cais_operator.node_trust.entries import FILE
from cais_operator.node_trust.node import Options, run

_INTRO = """\
Runs on a node, in a pod of the chart's DaemonSet (nodeTrust.enabled): tells the node's containerd
where registries are and which CA to believe, by files below the folder of its config_path. What it
did not write itself it leaves alone. It needs no access to the Kubernetes API.
"""
_PATHS = {
    "document": (f"/etc/cais/nodes/{FILE}", "the operator's list, from a mounted ConfigMap"),
    "directory": ("/etc/containerd/certs.d", "folder that config_path names"),
    "config": ("/etc/containerd/config.toml", "containerd's configuration; only read"),
    "state": ("/run/cais/problems", "file for what is wrong; empty when nothing is"),
}


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command; its parser sets `act`, which runs it."""
    parser = commands.add_parser(
        "node-trust", help="keep a node's containerd trusting the registries", description=_INTRO
    )
    for name, (default, text) in _PATHS.items():
        parser.add_argument(
            f"--{name}",
            type=_absolute,
            default=default,
            metavar="PATH",
            help=f"{text} (default: %(default)s)",
        )
    parser.add_argument(
        "--no-check", action="store_true", help="write without looking into --config first"
    )
    parser.add_argument(
        "--cluster-domain", default="cluster.local", metavar="DOMAIN", help="(%(default)s)"
    )
    parser.add_argument(
        "--owner",
        default="cais-system/cais-nodes",
        metavar="NAMESPACE/NAME",
        help="the ConfigMap; files that name another one stay as they are (%(default)s)",
    )
    parser.add_argument(
        "--remove", action="store_true", help="take everything away that it ever wrote"
    )
    parser.set_defaults(act=_run)


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts:
        raise argparse.ArgumentTypeError(f"{text!r} is not an absolute path")
    return path


def _run(given: argparse.Namespace) -> None:
    run(
        Options(
            document=given.document,
            directory=given.directory,
            config=None if given.no_check else given.config,
            state=given.state,
            domain=given.cluster_domain,
            owner=given.owner,
            remove=given.remove,
        )
    )
