# SPDX-License-Identifier: Apache-2.0
import json
from typing import Any

import pytest

from cais_operator import names
from cais_operator.cluster import Children, child_of, keys_of
from cais_operator.resource import Key


def service(version: str = "5", uid: str = "u", **metadata: Any) -> dict[str, Any]:
    fixed = {"name": "team", "namespace": "a", "uid": uid, "resourceVersion": version}
    return {"kind": "Service", "metadata": {**fixed, **metadata}, "spec": {"clusterIP": "10.0.0.1"}}


def test_an_event_that_our_own_write_has_overtaken_is_ignored() -> None:
    children = Children()
    children.put(service("10"))
    children.put(service("9"))
    child = children.get("Service", "a", "team")
    assert child is not None
    assert child.version == "10"


def test_another_object_of_the_same_name_counts_whatever_its_version() -> None:
    children = Children()
    children.put(service("10"))
    children.put(service("9", uid="another"))
    child = children.get("Service", "a", "team")
    assert child is not None
    assert child.uid == "another"


def test_the_late_deletion_of_an_old_object_does_not_drop_the_new_one() -> None:
    children = Children()
    children.put(service("12", uid="new"))
    children.drop(service("11", uid="old"))
    assert children.get("Service", "a", "team") is not None
    children.drop(service("13", uid="new"))
    assert children.get("Service", "a", "team") is None


def test_a_new_listing_tells_whose_children_are_gone() -> None:
    children = Children()
    children.put(service(labels={"app.kubernetes.io/instance": "team"}))
    assert children.keep_only("Secret", None, set()) == set()
    assert children.keep_only("Service", "b", set()) == set()
    assert children.keep_only("Service", None, set()) == {Key("a", "team")}
    assert len(children) == 0


def test_contents_of_secrets_are_not_kept() -> None:
    secret = {**service(), "kind": "Secret", "data": {"password": "c2VjcmV0"}}
    secret["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": "c2VjcmV0"
    }
    assert "c2VjcmV0" not in str(child_of(secret))


def test_texts_that_children_have_in_common_are_in_memory_once() -> None:
    """A thousand Registries have some sixteen children each, with nearly the same labels."""
    marks = {"app.kubernetes.io/instance": "team", "app.kubernetes.io/component": "registry"}
    text = json.dumps(service(labels=marks, annotations=marks))
    one, other = (child_of(json.loads(text)).body for _ in range(2))
    for part in ("labels", "annotations"):
        first, second = (body["metadata"][part].items() for body in (one, other))
        for (key, value), (same_key, same_value) in zip(first, second, strict=True):
            assert key is same_key
            assert value is same_value
    assert one == {**json.loads(text), "apiVersion": None}


def test_an_object_belongs_to_its_owner_its_label_and_its_annotation() -> None:
    live = service(
        ownerReferences=[{"kind": "Registry", "name": "one"}, {"kind": "CronJob", "name": "no"}],
        labels={"app.kubernetes.io/instance": "two"},
        annotations={"cais.dev/registry": "three"},
    )
    assert set(keys_of(live)) == {Key("a", "one"), Key("a", "two"), Key("a", "three")}


@pytest.mark.parametrize("value", [".", "..", "a/b", "x" * 41, "-a", "Upper", ""])
def test_what_cannot_be_the_name_of_a_registry_is_no_key(value: str) -> None:
    metadata = {"namespace": "team-a", "annotations": {names.OWNER: value}}
    assert list(keys_of({"metadata": metadata})) == []
