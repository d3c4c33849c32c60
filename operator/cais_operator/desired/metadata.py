# SPDX-License-Identifier: Apache-2.0
"""What every child carries: namespace, labels, and the Registry as its owner. Pure."""

from cais_operator import __version__, names
from cais_operator.render import Manifest
from cais_operator.resource import Registry, RegistryAccess


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
        metadata["ownerReferences"] = [_owner(names.KIND, registry.name, registry.uid)]
    return {**manifest, "metadata": metadata}


def finish_access(manifest: Manifest, access: RegistryAccess) -> Manifest:
    """Add the metadata of what a RegistryAccess owns in its namespace.

    Args:
        manifest: What `render` returned.
        access: Whose it is.
    """
    metadata = {
        **manifest["metadata"],
        "namespace": access.namespace,
        "labels": names.access_labels(access, __version__),
        "ownerReferences": [_owner(names.ACCESS_KIND, access.name, access.uid)],
    }
    return {**manifest, "metadata": metadata}


def _owner(kind: str, name: str, uid: str) -> Manifest:
    # No blockOwnerDeletion: setting it needs a permission on the owner's finalizers.
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
    }
