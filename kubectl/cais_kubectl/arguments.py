# SPDX-License-Identifier: Apache-2.0
"""Flags that several commands share."""

from __future__ import annotations

import argparse

from cais_kubectl.output import FORMATS
from cais_kubectl.way import WAYS


def cluster(parser: argparse.ArgumentParser, *, everywhere: bool = False) -> None:
    """Add kubectl's own flags for the cluster, the user and the namespace."""
    group = parser.add_argument_group("cluster, as for kubectl")
    group.add_argument("-n", "--namespace", metavar="NAME", help="default: that of the context")
    if everywhere:
        group.add_argument(
            "-A", "--all-namespaces", action="store_true", help="look at all namespaces"
        )
    group.add_argument("--context", metavar="NAME", help="of the kubeconfig")
    group.add_argument("--kubeconfig", metavar="FILE", help="default: $KUBECONFIG, ~/.kube/config")
    group.add_argument("--cluster", metavar="NAME", help="of the kubeconfig")
    group.add_argument("--as", dest="as_user", metavar="USER", help="impersonate")


def form(parser: argparse.ArgumentParser) -> None:
    """Add `-o`."""
    parser.add_argument(
        "-o", "--output", choices=FORMATS, default="table", help="default: table, for people"
    )


def name(parser: argparse.ArgumentParser, words: str) -> None:
    """Add the name of a Registry, which may be left out."""
    parser.add_argument("name", nargs="?", metavar="REGISTRY", help=words)


def listing(parser: argparse.ArgumentParser) -> None:
    """Add what commands have that tell about one Registry or many."""
    name(parser, "default: all of the namespace")
    form(parser)
    cluster(parser, everywhere=True)


def way(parser: argparse.ArgumentParser, user: str) -> None:
    """Add how a registry is reached, and as whom."""
    parser.add_argument(
        "--via",
        choices=WAYS,
        default="auto",
        help="auto: through kubectl where spec.expose is ClusterIP, else by the status's address",
    )
    parser.add_argument(
        "--login-as",
        metavar="NAME",
        default=user,
        help=f"user of the registry whose Secret is read (default: {user})",
    )
