# SPDX-License-Identifier: Apache-2.0
"""The decisions of the test clusters' provisioner, without a node or an API server."""

from typing import Any

import pytest

from loopvolumes import node, provisioner
from loopvolumes.sizes import to_bytes

SIZES = [
    ("0", 0),
    ("1024", 1024),
    ("1Ki", 1024),
    ("1k", 1000),
    ("64Mi", 64 * 2**20),
    ("1.5Gi", 3 * 2**29),
    ("2G", 2_000_000_000),
    ("1e9", 10**9),
    ("1500m", 2),
]
CLASS = {
    "metadata": {"name": "standard"},
    "provisioner": "cais.dev/loop-volumes",
    "reclaimPolicy": "Retain",
}


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_quantities_are_bytes(text: str, size: int) -> None:
    assert to_bytes(text) == size


@pytest.mark.parametrize("text", ["", "Gi", "-1Gi", "1GiB", "1 Gi", "0x10"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        to_bytes(text)


def claim(**metadata: Any) -> dict[str, Any]:
    selected = {"volume.kubernetes.io/selected-node": "n1"}
    return {
        "metadata": {"name": "c", "namespace": "x", "uid": "u", "annotations": selected} | metadata,
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "standard",
        },
    }


def test_a_claim_waits_for_its_own_node_and_class_only() -> None:
    assert provisioner.is_waiting(claim(), CLASS, "n1")
    assert not provisioner.is_waiting(claim(), CLASS, "n2")
    assert not provisioner.is_waiting(claim(annotations=None), CLASS, "n1")
    assert not provisioner.is_waiting(claim(), {**CLASS, "provisioner": "other"}, "n1")
    assert not provisioner.is_waiting(claim(deletionTimestamp="now"), CLASS, "n1")


def test_the_volume_is_for_the_claim_on_the_node_with_the_policy_of_the_class() -> None:
    volume = provisioner.volume_for(claim(), CLASS, "n1")
    assert volume["metadata"]["name"] == "pvc-u"
    assert volume["spec"]["claimRef"]["uid"] == "u"
    assert volume["spec"]["capacity"] == {"storage": "1Gi"}
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume["spec"]["local"]["path"] == "/var/local/cais-volumes/pvc-u/volume"
    assert provisioner.is_ours(volume, "n1")
    assert not provisioner.is_ours(volume, "n2")


@pytest.mark.parametrize(
    ("phase", "policy", "goes"),
    [
        ("Released", "Delete", True),
        ("Released", "Retain", False),
        ("Bound", "Delete", False),
        ("Available", "Delete", False),
    ],
)
def test_only_a_released_volume_whose_policy_says_so_is_removed(
    phase: str, policy: str, goes: bool
) -> None:
    volume = {"status": {"phase": phase}, "spec": {"persistentVolumeReclaimPolicy": policy}}
    assert provisioner.is_to_be_removed(volume) is goes


def test_ext4_is_used_only_where_it_can_grow() -> None:
    assert node.file_system("Name:\tx\nCapEff:\t000001ffffffffff\n") is node.EXT4
    assert node.file_system("Name:\tx\nCapEff:\t000001fffeffffff\n") is node.XFS
