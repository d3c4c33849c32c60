# SPDX-License-Identifier: Apache-2.0
"""What the watches have shown: an entry per child, never the whole object. Pure memory."""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cais_operator import names
from cais_operator.cluster.fields import own_digests
from cais_operator.cluster.interface import Object
from cais_operator.cluster.pods import Pods
from cais_operator.resource import Key

# What is kept besides a little metadata; nothing of a Secret, of ConfigMaps only the CA bundle.
_KEPT: Mapping[str, tuple[str, ...]] = {
    "Service": ("spec", "status"),
    "PersistentVolumeClaim": ("spec", "status"),
    "Deployment": ("status",),
    "Certificate": ("status",),
    "Ingress": ("status",),
    "HTTPRoute": ("status",),
}
_KEPT_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "labels",
    "ownerReferences",
    "deletionTimestamp",
    "creationTimestamp",
)
_OWN_METADATA = ("name", "uid", "resourceVersion", "creationTimestamp")  # no other object has these
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")  # of a Registry, as the CRD has it
_TEMPLATE = ("spec", "template")
_BUNDLE = "ca.crt"
_FOREIGN = "kubectl.kubernetes.io/last-applied-configuration"

Identity = tuple[str, str, str]  # kind, namespace, name


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One object as last seen.

    Attributes:
        uid: Of the object.
        version: Its resourceVersion.
        digest: What it holds of our last apply (`fields.own_digests`).
        body: The parts of it that are judged.
        template: Of a Deployment, the same digest of its pod template.
        image: Of a Deployment, that of its first container.
        is_written: Whether this version is the answer to a write of ours.
    """

    uid: str
    version: str
    digest: str
    body: Object
    template: str = ""
    image: str = ""
    is_written: bool = False


class Children:
    """All children that the watches have shown, by kind, namespace and name.

    Attributes:
        pods: The servers' pods.
    """

    def __init__(self) -> None:
        self._known: dict[Identity, Child] = {}
        self.pods = Pods()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, kind: str, namespace: str, name: str) -> Child | None:
        """Return what is known of an object; None when the watches have not shown it."""
        return self._known.get((kind, namespace, name))

    def put(self, live: Object, *, is_written: bool = False) -> Child:
        """Take an object in, from a watch or from the answer to a write; the newest wins."""
        child = replace(child_of(live), is_written=is_written)
        before = self._known.get(identity(live))
        if before is None or before.uid != child.uid or not _older(child, before):
            self._known[identity(live)] = child
        return child

    def of_kind(self, kind: str) -> Iterator[Object]:
        """Yield what is kept of all objects of a kind."""
        return (child.body for one, child in self._known.items() if one[0] == kind)

    def is_written(self, identity: Identity, version: str) -> bool:
        """Return whether what is known of an object is of this version, and written by us."""
        known = self._known.get(identity)
        return known is not None and known.is_written and known.version == version

    def drop(self, live: Object) -> None:
        """Forget a deleted object, unless another one has taken its name since."""
        before = self._known.get(identity(live))
        if before is not None and before.uid == live["metadata"]["uid"]:
            del self._known[identity(live)]

    def keep_only(self, kind: str, namespace: str | None, listed: set[Identity]) -> set[Key]:
        """Forget what a new listing no longer shows; return whose it was."""
        gone = [
            one
            for one in self._known
            if one[0] == kind and namespace in (None, one[1]) and one not in listed
        ]
        return {key for one in gone for key in keys_of(self._known.pop(one).body)}


def identity(live: Mapping[str, Any]) -> Identity:
    """Return kind, namespace and name of an object."""
    metadata = live["metadata"]
    return live["kind"], metadata["namespace"], metadata["name"]


def child_of(live: Object) -> Child:
    """Reduce an object to what is kept of it."""
    metadata = live["metadata"]
    annotations = metadata.get("annotations") or {}
    kept = {
        key: metadata[key] if key in _OWN_METADATA else _shared(metadata[key])
        for key in _KEPT_METADATA
        if key in metadata
    }
    kept["annotations"] = _shared({key: annotations[key] for key in annotations if key != _FOREIGN})
    body: Object = {"apiVersion": live.get("apiVersion"), "kind": live["kind"], "metadata": kept}
    body |= {part: _shared(live[part]) for part in _KEPT.get(live["kind"], ()) if part in live}
    if live["kind"] == "ConfigMap" and _BUNDLE in (live.get("data") or {}):
        body["data"] = _shared({_BUNDLE: live["data"][_BUNDLE]})
    is_server = live["kind"] == "Deployment"
    whole, template = own_digests(live, *(_TEMPLATE if is_server else ()))
    return Child(
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        digest=whole,
        body=body,
        template=template,
        image=_image(live) if is_server else "",
    )


def _shared(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return an equal value whose texts are one in memory with equal ones: most children's are."""
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, list):
        return [_shared(one) for one in value]
    if isinstance(value, dict):
        return {sys.intern(key): _shared(one) for key, one in value.items()}
    return value


def _image(live: Object) -> str:
    """Return the image of a Deployment's first container; empty when there is none."""
    spec = ((live.get("spec") or {}).get("template") or {}).get("spec") or {}
    return str(next((one.get("image") for one in spec.get("containers") or ()), ""))


def keys_of(live: Mapping[str, Any]) -> Iterator[Key]:
    """Yield the Registries an object may belong to: by owner, by label, by annotation.

    Whoever may write the object may write these, so what cannot be a Registry's name is passed.
    """
    metadata = live["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("kind") == names.KIND:
            yield Key(metadata["namespace"], owner["name"])
    for part, name in (("labels", names.INSTANCE), ("annotations", names.OWNER)):
        value = (metadata.get(part) or {}).get(name)
        if value and _NAME.fullmatch(value):
            yield Key(metadata["namespace"], value)


def _older(child: Child, before: Child) -> bool:
    """Tell whether an event is one that our own write has overtaken."""
    both = (child.version, before.version)
    return all(version.isdigit() for version in both) and int(both[0]) < int(both[1])
