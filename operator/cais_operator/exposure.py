# SPDX-License-Identifier: Apache-2.0
"""Leads requests from outside to a registry, and takes back what is no longer asked for."""

from cais_operator import desired, names
from cais_operator.brought import Refusal
from cais_operator.converge import Writer
from cais_operator.errors import ApiUnavailable, NotFound, Rejected
from cais_operator.resource import Registry
from cais_operator.settings import Settings
from cais_operator.world import World

_KINDS = ("Ingress", "HTTPRoute", "BackendTLSPolicy")


async def expose(  # noqa: PLR0913 - what it takes to route
    writer: Writer,
    registry: Registry,
    world: World,
    settings: Settings,
    *,
    host: str,
    has_bundle: bool,
) -> None:
    """Apply what the spec asks for; why that fails becomes the exposure's refusal, and no more.

    A controller's webhook that is down, or a kind that is not installed, must not stop the rest.

    Args:
        writer: Writes.
        registry: The Registry.
        world: What is known of it.
        settings: Of the operator.
        host: Name that the registry's certificate covers.
        has_bundle: Whether a CA is published for it.
    """
    wanted = desired.exposure(registry, settings, host=host, has_bundle=has_bundle)
    for manifest in wanted:
        try:
            await writer.apply(world, manifest)
        except NotFound:
            message = f"the cluster knows no {manifest['kind']}: install the Gateway API (1.4)"
            return _refuse(world, "GatewayMissing", f"{message}, or choose another type")
        except Rejected as refused:
            return _refuse(world, "ExposureRefused", str(refused))
        except ApiUnavailable as error:  # so answers the API server too when a webhook is down
            return _refuse(world, "ExposureRefused", str(error), waits=True)
    kinds = {manifest["kind"] for manifest in wanted}
    for kind in _KINDS:
        if kind not in kinds:
            await writer.remove(world, kind, names.route(registry))
    return None


def _refuse(world: World, reason: str, message: str, *, waits: bool = False) -> None:
    world.learn(exposure=Refusal(reason=reason, message=message, waits=waits))
