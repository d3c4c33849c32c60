# SPDX-License-Identifier: Apache-2.0
"""What a command works with: where it was told to look, and the way to the cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cais_kubectl import registries
from cais_kubectl.api import Api, Object, ProxiedApi
from cais_kubectl.kubectl import Kubectl, flags_of, namespace_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run of a command.

    Attributes:
        api: Of the cluster.
        kubectl: As the person would call it.
        namespace: Of the command line, else of the context.
        everywhere: Whether all namespaces were asked for.
    """

    api: Api
    kubectl: Kubectl
    namespace: str
    everywhere: bool = False

    @property
    def place(self) -> str | None:
        """The namespace to look at; None for all."""
        return None if self.everywhere else self.namespace

    def registries(self, name: str | None) -> list[Object]:
        """Return the named Registry, or all of the place.

        Raises:
            Failure: When there is none of that name.
        """
        if name is not None:
            return [registries.find(self.api, self.namespace, name)]
        return registries.find_all(self.api, self.place)


def kubectl_of(options: argparse.Namespace) -> Kubectl:
    """Return kubectl with the cluster and user that the command line chooses."""
    chosen = ("kubeconfig", "context", "cluster", "user", "as_user")
    return Kubectl(flags=flags_of(**{name: getattr(options, name, None) for name in chosen}))


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Session]:
    """Open a way to the cluster for one command.

    Raises:
        Failure: When there is none.
    """
    kubectl = kubectl_of(options)
    with kubectl.proxy() as socket:
        yield Session(
            api=ProxiedApi(path=socket),
            kubectl=kubectl,
            namespace=options.namespace or namespace_of(kubectl),
            everywhere=getattr(options, "all_namespaces", False),
        )
