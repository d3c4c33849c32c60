# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from cais_operator.consumers import Directory, Grant, Refusal, judge
from cais_operator.consumers.selectors import keys, selects
from cais_operator.resource import LabelRequirement, NamespaceSelector
from support.access_bench import ALLOWED, access, allowing

NAME = "kubernetes.io/metadata.name"
HERE = {NAME: "team-b", "tier": "web"}


def refused(*consumers: dict[str, Any], **asked: Any) -> Refusal:
    found = judge(access(**asked), allowing(*consumers), HERE)
    assert isinstance(found, Refusal)
    return found


def test_what_is_granted_is_exactly_what_was_asked() -> None:
    asked = access(repositories=["apps/web/**", "apps/api"], actions=["pull"])
    found = judge(asked, allowing(ALLOWED), HERE)
    assert isinstance(found, Grant)
    assert found.user == "web@team-b"
    assert found.repositories == ("apps/web/**", "apps/api")
    assert found.actions == ("pull",)


@pytest.mark.parametrize(
    ("repositories", "actions", "words"),
    [
        (["apps/**", "base/**"], ["pull"], 'spec.repositories[1] is "base/**"'),
        (["**"], ["pull"], "does not allow this namespace to pull there"),
        (["apps/web"], ["pull", "delete"], "does not allow this namespace to delete there"),
        (["*/web"], ["pull", "push"], "to pull and push there"),
        (["apps/web"], ["delete"], "allowed is: pull, push in apps/**"),
    ],
)
def test_what_is_outside_is_refused_as_a_whole_with_field_and_what_is_allowed(
    repositories: list[str], actions: list[str], words: str
) -> None:
    found = refused(ALLOWED, repositories=repositories, actions=actions)
    assert (found.reason, found.waits) == ("NotAllowed", False)
    assert words in found.message


def test_actions_and_repositories_of_two_allowances_do_not_mix() -> None:
    pull = {**ALLOWED, "repositories": ["base/**"], "actions": ["pull"]}
    push = {**ALLOWED, "repositories": ["apps/**"], "actions": ["push"]}
    for repository, action in (("base/x", "push"), ("apps/x", "pull")):
        found = refused(pull, push, repositories=[repository], actions=[action])
        assert found.reason == "NotAllowed"
    asked = access(repositories=["base/x"], actions=["pull"])
    assert isinstance(judge(asked, allowing(pull, push), HERE), Grant)


def test_push_is_allowed_with_create_and_not_the_other_way_round() -> None:
    asked = access(actions=["create"])
    assert isinstance(judge(asked, allowing(ALLOWED), HERE), Grant)
    found = refused({**ALLOWED, "actions": ["create"]}, actions=["push"])
    assert found.reason == "NotAllowed"


def test_allowances_of_other_namespaces_neither_help_nor_show() -> None:
    theirs = {
        "namespaceSelector": {"matchLabels": {NAME: "team-c"}},
        "repositories": ["secret/**"],
        "actions": ["delete"],
    }
    found = refused(ALLOWED, theirs, repositories=["secret/x"], actions=["delete"])
    assert "secret/**" not in found.message


def test_a_registry_that_one_may_not_use_looks_like_one_that_is_not_there() -> None:
    theirs = {**ALLOWED, "namespaceSelector": {"matchLabels": {NAME: "team-c"}}}
    missing = judge(access(), None, HERE)
    assert isinstance(missing, Refusal)
    assert (missing.reason, missing.waits) == ("RegistryUnavailable", True)
    assert judge(access(), allowing(theirs), HERE) == missing
    assert judge(access(), allowing(), HERE) == missing


@pytest.mark.parametrize(
    ("selector", "is_selected"),
    [
        ({}, True),
        ({"matchLabels": {"tier": "web"}}, True),
        ({"matchLabels": {"tier": "web", "a": "b"}}, False),
        ({"matchLabels": {NAME: "team-b"}}, True),
        ({"matchLabels": {NAME: "team-c"}}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["api", "web"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["api"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": []}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist", "values": ["b"]}]}, False),
    ],
)
def test_namespaces_are_selected_as_kubernetes_does(
    selector: dict[str, Any], *, is_selected: bool
) -> None:
    registry = allowing({**ALLOWED, "namespaceSelector": selector})
    (consumer,) = registry.spec.consumers
    assert selects(consumer.namespace_selector, HERE) is is_selected


@pytest.mark.parametrize(
    ("selector", "is_selected"),
    [
        ({}, True),
        ({"matchLabels": {NAME: "team-b"}}, True),
        ({"matchExpressions": [{"key": NAME, "operator": "NotIn", "values": ["team-c"]}]}, True),
        ({"matchLabels": {NAME: "team-c"}}, False),
        ({"matchLabels": {"tier": "web"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_while_labels_are_not_known_nothing_follows_from_their_absence(
    selector: dict[str, Any], *, is_selected: bool
) -> None:
    found = judge(access(), allowing({**ALLOWED, "namespaceSelector": selector}), None)
    assert isinstance(found, Grant) is is_selected
    assert is_selected or found.waits  # type: ignore[union-attr]


def test_a_namespace_that_was_shown_without_labels_is_not_one_that_was_not_shown() -> None:
    directory = Directory()
    assert directory.labels("team-b") is None
    assert directory.relabel("team-b", {})
    assert directory.labels("team-b") == {NAME: "team-b"}
    assert not directory.relabel("team-b", {NAME: "team-b"})
    assert directory.relabel("team-b", {"tier": "web"})
    assert directory.relabel("team-b", {NAME: "team-b"})
    assert directory.namespaces() == {"team-b"}
    assert directory.relabel("team-b", None)
    assert not directory.relabel("team-b", None)
    assert (directory.labels("team-b"), directory.namespaces()) == (None, set())


def test_the_labels_that_a_selector_looks_at_are_known() -> None:
    selector = NamespaceSelector(
        match_labels={"a": "b"},
        match_expressions=(LabelRequirement(key="c", operator="Exists"),),
    )
    assert keys(selector) == {"a", "c"}


def test_a_refusal_is_short_and_whole_however_much_was_asked_and_is_allowed() -> None:
    allowed, asked = ([f"{letter * 200}{number}" for number in range(8)] for letter in "xy")
    found = refused(*({**ALLOWED, "repositories": allowed} for _ in range(9)), repositories=asked)
    assert len(found.message) < 1024  # where a condition cuts
    assert "; and 6 more are not allowed; allowed is: " in found.message
