# SPDX-License-Identifier: Apache-2.0
"""Asks cert-manager for a certificate, and takes the request back."""

from cais_operator import desired, names
from cais_operator.brought import Refusal
from cais_operator.converge import Writer
from cais_operator.errors import ApiUnavailable, NotFound, Rejected
from cais_operator.names import Hosts
from cais_operator.resource import Registry
from cais_operator.settings import Settings
from cais_operator.world import World

KIND = "Certificate"
_FILLED_BY = "cert-manager.io/certificate-name"  # annotation of the Secrets that it fills


async def request(
    writer: Writer, registry: Registry, world: World, settings: Settings, hosts: Hosts
) -> None:
    """Apply the Certificate; why that fails becomes the certificate's refusal, and no more.

    A cluster without cert-manager, or with one whose webhook is down, must not stop the rest.
    """
    asked, name = registry.spec.tls.cert_manager, names.certificate(registry)
    if asked is None:
        return
    secret = world.observed.references.get(name)
    if secret is not None and _FILLED_BY not in (secret["metadata"].get("annotations") or {}):
        _refuse(world, "SecretTaken", f"Secret {name} exists and is not cert-manager's: remove it")
        return
    try:
        await writer.apply(world, desired.certificate(registry, settings, asked, hosts))
    except NotFound:
        message = "cert-manager is not installed (no kind Certificate): install it, or choose "
        _refuse(world, "CertManagerMissing", message + "another kind of spec.tls")
    except Rejected as refused:
        _refuse(world, "CertificateRefused", str(refused))
    except ApiUnavailable as error:  # so answers the API server too when a webhook is down
        _refuse(world, "CertificateRefused", str(error), waits=True)


async def take_back(writer: Writer, registry: Registry, world: World) -> None:
    """Delete the Certificate of a Registry that no longer asks for one."""
    if registry.spec.tls.cert_manager is None:
        await writer.remove(world, KIND, names.certificate(registry))


def _refuse(world: World, reason: str, message: str, *, waits: bool = False) -> None:
    world.learn(brought=Refusal(reason=reason, message=message, waits=waits))
