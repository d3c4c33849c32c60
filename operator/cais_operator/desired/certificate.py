# SPDX-License-Identifier: Apache-2.0
"""What cert-manager is asked for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from cais_operator import names
from cais_operator.desired.metadata import finish
from cais_operator.names import Hosts
from cais_operator.render import Manifest, render
from cais_operator.resource import CertManager, Registry
from cais_operator.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Certificate:
    name: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...] | None
    duration: str
    renew_before: str
    issuer_ref: Mapping[str, str]


def certificate(
    registry: Registry, settings: Settings, asked: CertManager, hosts: Hosts
) -> Manifest:
    """Return the Certificate of cert-manager for the names that it shall cover.

    Args:
        registry: The Registry.
        settings: Not used; every function of this room takes it.
        asked: Of the Registry's spec.
        hosts: From `names.hosts`.
    """
    del settings
    wanted = names.required(registry, hosts)
    issuer = asked.issuer_ref
    context = _Certificate(
        name=names.certificate(registry),
        dns_names=wanted.dns,
        ip_addresses=wanted.ips or None,
        duration=str(asked.duration),
        renew_before=str(asked.renew_before),
        issuer_ref={"name": issuer.name, "kind": issuer.kind, "group": issuer.group},
    )
    return finish(render("certificate", context), registry)
