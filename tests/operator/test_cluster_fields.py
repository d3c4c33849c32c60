# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from cais_operator.cluster import digest, own_digests, part_digest

OURS = {"manager": "cais-operator", "operation": "Apply"}


def live(fields: dict[str, Any], **parts: Any) -> dict[str, Any]:
    metadata = {"name": "team", "managedFields": [{**OURS, "fieldsV1": fields}]}
    metadata |= parts.pop("metadata", {})
    return {"apiVersion": "v1", "kind": "Thing", "metadata": metadata, **parts}


def wanted(**parts: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "team"}, **parts}


CASES: tuple[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]], ...] = (
    (
        "fields of others beside ours",
        {"f:spec": {"f:a": {}}},
        {"spec": {"a": 1, "b": 2}, "status": {"x": 1}},
        {"spec": {"a": 1}},
    ),
    (
        "a leaf that is a whole object",
        {"f:spec": {"f:a": {}}},
        {"spec": {"a": {"b": {"c": [1, 2]}}}},
        {"spec": {"a": {"b": {"c": [1, 2]}}}},
    ),
    (
        "an item of a list by its key",
        {"f:spec": {"f:ports": {'k:{"port":80}': {".": {}, "f:port": {}, "f:name": {}}}}},
        {"spec": {"ports": [{"port": 80, "name": "a", "nodePort": 3}, {"port": 81}]}},
        {"spec": {"ports": [{"name": "a", "port": 80}]}},
    ),
    (
        "items of a list in another order",
        {"f:spec": {"f:l": {'k:{"n":"a"}': {"f:n": {}}, 'k:{"n":"b"}': {"f:n": {}}}}},
        {"spec": {"l": [{"n": "b"}, {"n": "a"}]}},
        {"spec": {"l": [{"n": "a"}, {"n": "b"}]}},
    ),
    (
        "a value of a set",
        {"f:spec": {"f:s": {'v:"x"': {}}}},
        {"spec": {"s": ["w", "x"]}},
        {"spec": {"s": ["x"]}},
    ),
    (
        "an empty object that others have filled",
        {"f:spec": {"f:e": {".": {}}}},
        {"spec": {"e": {"theirs": 1}}},
        {"spec": {"e": {}}},
    ),
    (
        "our labels among others",
        {"f:metadata": {"f:labels": {"f:ours": {}}}},
        {"metadata": {"labels": {"ours": "1", "theirs": "2"}}},
        {"metadata": {"name": "team", "labels": {"ours": "1"}}},
    ),
)


@pytest.mark.parametrize(("what", "fields", "has", "wants"), CASES)
def test_a_live_object_that_holds_all_of_ours_is_equal(
    what: str, fields: dict[str, Any], has: dict[str, Any], wants: dict[str, Any]
) -> None:
    assert own_digests(live(fields, **has))[0] == digest(wanted(**wants)), what


@pytest.mark.parametrize(
    ("what", "fields", "has"),
    [
        ("an edited value", {"f:spec": {"f:a": {}, "f:l": {}}},
         {"spec": {"a": 2, "l": ["x", "y"]}}),
        ("a field taken over by another", {"f:spec": {"f:l": {}}},
         {"spec": {"a": 1, "l": ["x", "y"]}}),
        ("a field that is gone", {"f:spec": {"f:a": {}, "f:l": {}}}, {"spec": {"l": ["x", "y"]}}),
        ("a field of ours no longer wanted", {"f:spec": {"f:a": {}, "f:l": {}, "f:z": {}}},
         {"spec": {"a": 1, "l": ["x", "y"], "z": 1}}),
        ("another order where order counts", {"f:spec": {"f:a": {}, "f:l": {}}},
         {"spec": {"a": 1, "l": ["y", "x"]}}),
    ],
)  # fmt: skip
def test_whatever_an_apply_would_change_is_seen(
    what: str, fields: dict[str, Any], has: dict[str, Any]
) -> None:
    assert own_digests(live(fields, **has))[0] != digest(wanted(spec={"a": 1, "l": ["x", "y"]})), (
        what
    )


@pytest.mark.parametrize(
    "entry",
    [
        {"manager": "someone", "operation": "Apply"},
        {"manager": "cais-operator", "operation": "Update"},
        {**OURS, "subresource": "status"},
    ],
)
def test_only_our_own_apply_counts(entry: dict[str, Any]) -> None:
    made = live({})
    made["metadata"]["managedFields"] = [{**entry, "fieldsV1": {"f:spec": {"f:a": {}}}}]
    assert own_digests({**made, "spec": {"a": 1}}) == ("", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"f:metadata": {"f:labels": {"f:team": {"f:x": {}}}}},
        {"f:metadata": {"f:finalizers": {"f:abc": {}}}},
        {"f:metadata": {"f:labels": []}},
        {"f:metadata": "text"},
        [],
    ],
)
def test_managed_fields_that_do_not_describe_the_object_end_nothing(fields: Any) -> None:
    entry = {"manager": "cais-operator", "operation": "Apply", "fieldsV1": fields}
    metadata = {"labels": {"team": "a"}, "finalizers": ["b"], "managedFields": [entry]}
    assert isinstance(own_digests({"metadata": metadata})[0], str)


def test_the_digest_of_a_part_is_that_of_the_desired_part() -> None:
    fields: dict[str, Any] = {
        "f:spec": {"f:a": {}, "f:template": {"f:l": {'k:{"n":"b"}': {"f:n": {}}}}}
    }
    has = {"spec": {"a": 1, "template": {"l": [{"n": "a"}, {"n": "b", "x": 1}]}}}
    found = own_digests(live(fields, **has), "spec", "template")
    assert found[1] == part_digest({"l": [{"n": "b"}]})
    assert found[0] == digest(wanted(spec={"a": 1, "template": {"l": [{"n": "b"}]}}))
