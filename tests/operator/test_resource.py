# SPDX-License-Identifier: Apache-2.0
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_operator.errors import InvalidSpec
from cais_operator.resource import Duration, Key, parse
from operator_builders import body, with_users, with_volume


def _problems(spec: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidSpec) as caught:
        parse(body() | {"spec": spec})
    return [(problem.field, problem.rule) for problem in caught.value.problems]


def test_an_empty_spec_is_a_whole_registry() -> None:
    found = parse(body())
    assert found.key == Key("team-a", "team")
    volume = found.spec.storage.mounted
    assert volume is not None
    assert str(volume.size) == "10Gi"
    assert volume.on_delete == "Retain"
    assert found.spec.garbage_collection.schedule == "17 3 * * *"
    assert found.spec.tls.is_issued
    assert found.spec.access.users == ()
    assert not found.deleting


def test_a_spec_of_null_is_an_empty_one() -> None:
    assert parse(body() | {"spec": None}).spec == parse(body()).spec


def test_a_registry_that_is_being_deleted_says_so() -> None:
    deleted = body()
    deleted["metadata"]["deletionTimestamp"] = "2026-03-01T00:00:00Z"
    assert parse(deleted).deleting


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"storage": {"gcs": {}}}, "spec.storage.gcs", "is not a field; known are volume, s3"),
        ({"storage": {"s3": {"bucket": "b"}}}, "spec.storage.s3.secretRef", "is required"),
        (with_volume(size="-1Gi"), "spec.storage.volume.size", "must be a quantity"),
        (with_volume(size=True), "spec.storage.volume.size", "must be a quantity"),
        (with_volume(onDelete="Keep"), "spec.storage.volume.onDelete", "one of Retain, Delete"),
        (with_volume(existingClaim="A"), "spec.storage.volume.existingClaim", "lower-case"),
        ({"storage": []}, "spec.storage", "must be an object"),
        ({"paused": "yes"}, "spec.paused", "must be true or false"),
        ({"expose": {"nodePort": "80"}}, "spec.expose.nodePort", "must be an integer"),
        ({"expose": {"nodePort": True}}, "spec.expose.nodePort", "must be an integer"),
        ({"expose": {"nodePort": 70000}}, "spec.expose.nodePort", "must be from 1 to 65535"),
        ({"expose": {"hostnames": "a.b"}}, "spec.expose.hostnames", "must be a list"),
        ({"expose": {"hostnames": ["here"]}}, "spec.expose.hostnames[0]", "DNS name"),
        ({"expose": {"hostnames": ["10.0.0.1"]}}, "spec.expose.hostnames[0]", "DNS name"),
        ({"expose": {"hostnames": ["a.b"] * 17}}, "spec.expose.hostnames", "at most 16 items"),
        (
            {"garbageCollection": {"pushLease": "1d"}},
            "spec.garbageCollection.pushLease",
            "hours, minutes and seconds",
        ),
        (
            {"garbageCollection": {"schedule": "at night"}},
            "spec.garbageCollection.schedule",
            "cron line",
        ),
        (with_users({}), "spec.access.users[0].name", "is required"),
        (with_users({"name": "Ci"}), "spec.access.users[0].name", "lower-case"),
        (
            with_users({"name": "ci", "passwordSecretRef": {"name": "s", "key": "a/b"}}),
            "spec.access.users[0].passwordSecretRef.key",
            "must be a key of a Secret",
        ),
        (
            with_users(rules=({"users": [], "repositories": ["a"], "actions": ["pull"]},)),
            "spec.access.rules[0].users",
            "at least 1 item",
        ),
        (
            with_users(rules=({"users": ["a"], "repositories": ["A/"], "actions": ["pull"]},)),
            "spec.access.rules[0].repositories[0]",
            "must be a repository in lower case",
        ),
        (
            with_users(rules=({"users": ["a"], "repositories": ["a"], "actions": ["admin"]},)),
            "spec.access.rules[0].actions[0]",
            "must be one of pull, create, push, delete",
        ),
        ({"access": {"anonymous": ["push"]}}, "spec.access.anonymous[0]", "must be one of pull"),
        (
            {"pod": {"resources": {"limits": {"memory": "lots"}}}},
            "spec.pod.resources.limits.memory",
            "must be a quantity",
        ),
    ],
)
def test_a_broken_field_is_named_with_what_is_allowed(
    spec: dict[str, Any], field: str, words: str
) -> None:
    found = _problems(spec)
    assert [name for name, _ in found] == [field]
    assert words in found[0][1]


def test_every_problem_is_told_at_once() -> None:
    spec = {**with_volume(size="x"), "paused": 1, "what": {}}
    assert {field for field, _ in _problems(spec)} == {
        "spec.what",
        "spec.paused",
        "spec.storage.volume.size",
    }


def test_the_error_reads_as_a_sentence() -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse(body(with_volume(size="-1")))
    assert str(caught.value) == (
        'spec.storage.volume.size is "-1": must be a quantity such as 10Gi, 500Mi, 250m or 2'
    )


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse(body(with_volume(existingClaim="A" * 10_000)))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("written", "seconds", "shown"),
    [
        ("24h", 86400, "24h"),
        ("0s", 0, "0s"),
        ("90m", 5400, "1h30m"),
        ("1h1m1s", 3661, "1h1m1s"),
        ("3600s", 3600, "1h"),
    ],
)
def test_durations_are_equal_however_they_are_written(
    written: str, seconds: int, shown: str
) -> None:
    found = Duration.parse(written)
    assert (found.seconds, str(found)) == (seconds, shown)


@pytest.mark.parametrize("text", ["", "h", "1", "1d", "-1h", "1.5h", "1h\n", "1s1h", "1234567h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        Duration.parse(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
_FIELDS = st.sampled_from(
    ["storage", "tls", "access", "expose", "garbageCollection", "paused", "pod", "other"]
)


@given(st.dictionaries(_FIELDS, _JSON))
def test_no_spec_makes_the_parser_fail_in_another_way(spec: dict[str, Any]) -> None:
    with suppress(InvalidSpec):
        parse(body() | {"spec": spec})
