# SPDX-License-Identifier: Apache-2.0
"""The claim. Pure."""

from dataclasses import dataclass

from cais_operator import names
from cais_operator.desired.metadata import finish
from cais_operator.observed import Live, requested
from cais_operator.render import Manifest, render
from cais_operator.resource import Quantity, Registry, Volume
from cais_operator.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    name: str
    storage_class_name: str | None
    size: str


def claim(registry: Registry, settings: Settings, live: Live | None) -> Manifest | None:
    """Return the claim; None when an existing one is used, or a bucket.

    With `onDelete: Retain` it has no owner, so that it outlives the Registry; a Registry of the
    same name takes it back, and the annotation says whose it is.

    Args:
        registry: The Registry.
        settings: Not used; every function of this room takes it.
        live: The claim as it is. The default size never shrinks it (`plan` refuses any other).
    """
    del settings
    volume = registry.spec.storage.mounted
    if volume is None or volume.existing_claim is not None:
        return None
    context = _Claim(
        name=names.claim(registry),
        storage_class_name=volume.storage_class_name,
        size=str(_size(volume, live)),
    )
    made = finish(render("claim", context), registry, owned=volume.on_delete == "Delete")
    made["metadata"]["annotations"] = {names.OWNER: registry.name}
    return made


def _size(volume: Volume, live: Live | None) -> Quantity:
    before = requested(live)
    if before is not None and volume.size == Volume().size:
        return max(volume.size, before)
    return volume.size
