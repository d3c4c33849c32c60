# SPDX-License-Identifier: Apache-2.0
"""A provisioner and resizer for test clusters: every claim becomes a file system of its own.

An image file with a file system, mounted on the node by a loop device, is a `local` volume that is
really full when it is full and that really grows. Level-triggered: each round looks at everything.
"""

import os
import time
from dataclasses import dataclass
from typing import Any

from loopvolumes.kube import Kube
from loopvolumes.node import Node
from loopvolumes.sizes import to_bytes

PROVISIONER = "cais.dev/loop-volumes"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
VOLUMES = "/api/v1/persistentvolumes"
CLAIMS = "/api/v1/persistentvolumeclaims"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioner:
    """Serves the claims whose pods run on one node.

    Attributes:
        kube: The API server.
        node: The node's disks.
        name: The node's name.
    """

    kube: Kube
    node: Node
    name: str

    def round(self) -> str:
        """Look at every claim and volume once, do what is due; return the list's version."""
        classes = {item["metadata"]["name"]: item for item in self.kube.list(CLASSES)["items"]}
        listed = self.kube.list(CLAIMS)
        claims = {item["metadata"]["uid"]: item for item in listed["items"]}
        for claim in claims.values():
            storage_class = classes.get(claim["spec"].get("storageClassName") or "")
            if storage_class and is_waiting(claim, storage_class, self.name):
                self.provision(claim, storage_class)
        for volume in self.kube.list(VOLUMES)["items"]:
            if is_ours(volume, self.name):
                self.look_after(volume, claims)
        return str(listed["metadata"]["resourceVersion"])

    def provision(self, claim: Json, storage_class: Json) -> None:
        """Make the file system and the volume that a claim asks for."""
        volume = volume_for(claim, storage_class, self.name)
        name = volume["metadata"]["name"]
        size = to_bytes(volume["spec"]["capacity"]["storage"])
        self.node.create(name, size)
        self.kube.create(VOLUMES, volume)
        print(f"{name}: made {size} bytes for {full_name(claim)}")

    def look_after(self, volume: Json, claims: dict[str, Json]) -> None:
        """Mount, grow or remove one volume."""
        name = volume["metadata"]["name"]
        if is_to_be_removed(volume):
            self.node.remove(name)
            self.kube.delete(f"{VOLUMES}/{name}")
            print(f"{name}: removed")
            return
        self.node.mount(name)  # a restarted node has lost its mounts
        claim = claims.get((volume["spec"].get("claimRef") or {}).get("uid", ""))
        if claim and claim["spec"].get("volumeName") == name:
            self.grow(volume, claim)

    def grow(self, volume: Json, claim: Json) -> None:
        """Give a volume and its claim the size that the claim asks for."""
        name = volume["metadata"]["name"]
        wanted = claim["spec"]["resources"]["requests"]["storage"]
        capacity = volume["spec"]["capacity"]["storage"]
        if to_bytes(wanted) > to_bytes(capacity):
            self.node.grow(name, to_bytes(wanted))
            self.kube.patch(f"{VOLUMES}/{name}", {"spec": {"capacity": {"storage": wanted}}})
            print(f"{name}: grew from {capacity} to {wanted}")
            capacity = wanted
        known = (claim.get("status", {}).get("capacity") or {}).get("storage")
        if known and to_bytes(known) < to_bytes(capacity):
            inner = f"/api/v1/namespaces/{claim['metadata']['namespace']}/persistentvolumeclaims"
            status = {"status": {"capacity": {"storage": capacity}}}
            self.kube.patch(f"{inner}/{claim['metadata']['name']}/status", status)


def full_name(claim: Json) -> str:
    """Return namespace and name of a claim."""
    return f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"


def is_waiting(claim: Json, storage_class: Json, node: str) -> bool:
    """Tell whether this node's provisioner has to make a volume for the claim."""
    if storage_class["provisioner"] != PROVISIONER or claim["spec"].get("volumeName"):
        return False
    if claim["metadata"].get("deletionTimestamp"):
        return False
    selected = (claim["metadata"].get("annotations") or {}).get(SELECTED_NODE)
    return bool(selected == node)


def is_ours(volume: Json, node: str) -> bool:
    """Tell whether a volume was made by the provisioner of this node."""
    metadata = volume["metadata"]
    made_by = (metadata.get("annotations") or {}).get(PROVISIONED_BY)
    on_node = (metadata.get("labels") or {}).get("cais.dev/node") == node
    return bool(made_by == PROVISIONER and on_node)


def is_to_be_removed(volume: Json) -> bool:
    """Tell whether nobody needs a volume any more, and its policy is to go then."""
    released = volume.get("status", {}).get("phase") == "Released"
    return bool(released and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete")


def volume_for(claim: Json, storage_class: Json, node: str) -> Json:
    """Return the volume that a claim is to be bound to."""
    metadata = claim["metadata"]
    name = f"pvc-{metadata['uid']}"
    host = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    reference |= {key: metadata[key] for key in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {PROVISIONED_BY: PROVISIONER},
            "labels": {"cais.dev/node": node},
        },
        "spec": {
            "accessModes": claim["spec"].get("accessModes") or ["ReadWriteOnce"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "claimRef": reference,
            "local": {"path": Node.volume(name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": "Filesystem",
        },
    }


def main() -> None:
    """Serve for ever; what fails is told and tried again."""
    provisioner = Provisioner(kube=Kube.in_cluster(), node=Node.here(), name=os.environ["NODE"])
    provisioner.node.prepare()
    while True:
        try:
            version = provisioner.round()
            provisioner.kube.wait_for_change(CLAIMS, version, seconds=2)
        except Exception as failed:  # noqa: BLE001  # nothing may end the cluster's only provisioner
            print(f"{type(failed).__name__}: {failed}")
            time.sleep(1)


if __name__ == "__main__":
    main()
