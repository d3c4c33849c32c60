# SPDX-License-Identifier: Apache-2.0
"""What every child carries: namespace, labels, and the Registry as its owner. Pure."""

from cais_operator import __version__, names
from cais_operator.render import Manifest
from cais_operator.resource import Registry


def finish(
    manifest: Manifest,
    registry: Registry,
    *,
    component: str = names.REGISTRY,
    owned: bool = True,
) -> Manifest:
    """Add the metadata that no template decides.

    Args:
        manifest: What `render` returned.
        registry: Whose child it is.
        component: Value of the component label.
        owned: Whether the child is deleted with its Registry.
    """
    metadata = {
        **manifest["metadata"],
        "namespace": registry.namespace,
        "labels": names.labels(registry, component, __version__),
    }
    if owned:
        metadata["ownerReferences"] = [_owner(registry)]
    return {**manifest, "metadata": metadata}


def _owner(registry: Registry) -> Manifest:
    # No blockOwnerDeletion: setting it needs a permission on the owner's finalizers.
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": registry.name,
        "uid": registry.uid,
        "controller": True,
    }
