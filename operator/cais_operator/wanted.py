# SPDX-License-Identifier: Apache-2.0
"""What a Registry has besides its Secrets and its Service, and what its server should know."""

from cais_operator import desired, names
from cais_operator.cluster import Object
from cais_operator.material import Material
from cais_operator.resource import Registry
from cais_operator.server import way_of_jobs
from cais_operator.settings import Settings
from cais_operator.world import World


def rest(
    registry: Registry,
    settings: Settings,
    made: Material,
    world: World,
    deployment: Object | None,
) -> tuple[Object, ...]:
    """Return all other objects, in the order in which they are applied.

    Args:
        registry: The Registry.
        settings: Of the operator.
        made: Its Secrets.
        world: What is there.
        deployment: The server's, when it may be applied now.
    """
    claim = world.bodies.get(("PersistentVolumeClaim", names.claim(registry)))
    manifests: tuple[Object | None, ...] = (
        desired.network_policy(registry, settings),
        desired.gc_network_policy(registry, settings),
        desired.service_account(registry, settings),
        desired.claim(registry, settings, claim),
    )
    # A server that waits for its first certificate is not started; one that runs goes on as it is.
    if made.tls is not None or registry.spec.tls.is_disabled:
        manifests += (
            _config_map(registry, settings, world),
            desired.ca_config_map(registry, settings, made.bundle) if made.bundle else None,
            deployment,
            desired.disruption_budget(registry, settings),
            desired.cron_job(registry, settings, way_of_jobs(registry, world, made.tls)),
        )
    return tuple(manifest for manifest in manifests if manifest is not None)


def files(registry: Registry, settings: Settings, world: World) -> dict[str, str]:
    """Return what the server should have loaded; empty while something of it is not there."""
    users = world.secret(names.users_secret(registry))
    tls = world.secret(names.tls_secret(registry))
    keys = world.secret(names.token_keys_secret(registry))
    if registry.spec.tls.is_disabled:
        tls = None
    elif tls is None:
        return {}
    if users is None or keys is None:
        return {}
    return desired.loaded_files(_config_map(registry, settings, world), users, tls, keys)


def _config_map(registry: Registry, settings: Settings, world: World) -> Object:
    """Render it once a reconcile: whoever asks first has all that it is made of."""
    if world.config is None:
        issuers = world.observed.issuers
        world.config = desired.config_map(registry, settings, issuers, world.grants, world.reader)
    return world.config
