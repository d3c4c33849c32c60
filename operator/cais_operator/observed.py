# SPDX-License-Identifier: Apache-2.0
"""What was found in the cluster and at the server; `plan` and `status` judge it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from cais_operator.brought import Brought, Refusal
from cais_operator.jwks import Issuers
from cais_operator.names import Hosts
from cais_operator.resource import Quantity, checks

Live = Mapping[str, Any]  # an object as the API server returns it


def has_serving_pod(deployment: Live | None) -> bool:
    """Return whether a pod of a Deployment serves, of whichever template; None is no Deployment."""
    return bool(((deployment or {}).get("status") or {}).get("availableReplicas"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """What the server's admin API said.

    Attributes:
        error: Why it could not be asked, in words for a person; None when it answered.
        version: Of the program; None when it did not say.
        files: Absolute path to SHA-256 (hex) of the content it has loaded (`GET config`).
        is_untrusted: Whether it is the certificate for which it could not be asked.
        config_error: Why the newest content was not taken; None when all is loaded.
        retention_problems: Rules of retention that the server cannot read; it keeps all there.
        usage: Body of `GET usage`; None when not asked.
        gc: Body of `GET gc`; None when not asked.
    """

    error: str | None = None
    is_untrusted: bool = False
    version: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    config_error: str | None = None
    retention_problems: tuple[str, ...] = ()
    usage: Mapping[str, Any] | None = None
    gc: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The world around one Registry.

    Attributes:
        children: By (kind, name), every object that has the name of a child, ours or not; what is
            missing is absent. A child that the label-selected watch does not show must have been
            read by name, or a stranger of that name goes unnoticed. Read here: metadata of all;
            spec of Service and claim; status of claim and Deployment; data of the TLS Secret, of
            Secrets with generated passwords, and of the CA ConfigMap.
        references: Secrets that the spec names, by name; None where the Secret is missing.
        brought: The certificate that was brought, as it was judged; None when we issue it.
        exposure: Why it cannot be exposed as asked; None when it is.
        pods: The server's pods; only their status and metadata are read, to say why one waits.
        wanted_files: Path to SHA-256 of what the server should have loaded; empty when unknown.
        server: What the server said; None when it was not asked.
        turn: What a person should know of an upgrade that waits; else empty.
        is_late: Whether its server is not ready again long after it was restarted in its turn.
        reads_labels: Whether the operator may read the labels of namespaces.
        authority: What a person should know of a CA that is being replaced; else empty.
        rejected: The API server's words on a child it refused; None when it took all.
        resize: Its words on a claim that it does not let grow; None when it does.
        issuers: Of tokens, those that are asked for and known.
        issuer_problems: What is wrong with others, or with renewing the keys of known ones; by
            the name of the spec, empty for the cluster.
    """

    children: Mapping[tuple[str, str], Live] = field(default_factory=dict)
    references: Mapping[str, Live | None] = field(default_factory=dict)
    brought: Brought | Refusal | None = None
    exposure: Refusal | None = None
    pods: tuple[Live, ...] = ()
    wanted_files: Mapping[str, str] = field(default_factory=dict)
    server: ServerState | None = None
    turn: str = ""
    is_late: bool = False
    reads_labels: bool = True
    authority: str = ""
    rejected: str | None = None
    resize: str | None = None
    issuers: Issuers = field(default_factory=Issuers)
    issuer_problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_loaded(self) -> bool:
        """Whether the server said that it has loaded everything that it should have."""
        said = self.server
        if said is None or said.error is not None or said.config_error is not None:
            return False
        wanted = self.wanted_files.items()
        return bool(wanted) and all(said.files.get(path) == sha for path, sha in wanted)

    def child(self, kind: str, name: str) -> Live | None:
        """Return the object of that kind and name, or None."""
        return self.children.get((kind, name))


def balancer_of(service: Live) -> Hosts:
    """Return where the load balancer of a live Service listens; nothing while it does not.

    A controller writes it, and it goes into a certificate: what is no address, and no host name
    outside of the cluster, is passed over.
    """
    if (service.get("spec") or {}).get("type") != "LoadBalancer":
        return Hosts(dns=())
    found = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    dns = (one.get("hostname") or "" for one in found)
    ips = (one.get("ip") or "" for one in found)
    return Hosts(
        dns=tuple(name for name in dns if checks.HOSTNAME.allows(name) and ".svc" not in name),
        ips=tuple(ip for ip in ips if _is_address(ip)),
    )


def _is_address(text: str) -> bool:
    try:
        return str(ip_address(text)) == text
    except ValueError:
        return False


def requested(claim: Live | None) -> Quantity | None:
    """Return how much a claim asks for; None when there is no claim."""
    return _storage(claim, "spec", "resources", "requests")


def capacity(claim: Live | None) -> Quantity | None:
    """Return how much a claim has; None while it has no volume."""
    return _storage(claim, "status", "capacity")


def _storage(claim: Live | None, *path: str) -> Quantity | None:
    found: Any = claim or {}
    for part in path:
        found = found.get(part) or {}
    return Quantity.parse(found["storage"]) if "storage" in found else None
