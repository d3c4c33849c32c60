# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_registry.config import document, settings
from cais_registry.config.retention import MOST_RULES, RetentionRule, parse
from cais_registry.model.globs import matches_text
from cais_registry.model.retention import attached_to, rule_for

HEX = "0123456789abcdef" * 4


def test_a_rule_is_read_with_all_it_says() -> None:
    found = parse(
        [
            {
                "repositories": ["apps/**"],
                "keepTags": ["v*"],
                "keepLast": 20,
                "keepNewerThan": "720h",
                "keepPulledWithin": "1h30m",
                "untaggedAfter": "0s",
                "dryRun": True,
            }
        ]
    )
    assert found.problems == ()
    assert found.counts_pulls
    assert found.rules == (
        RetentionRule(
            name="retention[0]",
            repositories=("apps/**",),
            keep_tags=("v*",),
            keep_last=20,
            keep_newer_than=timedelta(hours=720),
            keep_pulled_within=timedelta(minutes=90),
            untagged_after=timedelta(0),
            dry_run=True,
        ),
    )


@pytest.mark.parametrize("rule", [{}, {"untaggedAfter": "1h"}, {"dryRun": True}])
def test_a_rule_that_keeps_by_nothing_keeps_all_tags(rule: dict[str, Any]) -> None:
    (found,) = parse([{"repositories": ["**"], **rule}]).rules
    assert not found.limits_tags


def test_the_first_rule_that_matches_counts_and_without_one_nothing_goes() -> None:
    rules = parse([{"repositories": [glob]} for glob in ("apps/x", "apps/**", "*/x")])
    names = {name: rule_for(rules, name) for name in ("apps/x", "apps/y/z", "b/x", "b/y")}
    assert {name: rule and rule.name for name, rule in names.items()} == {
        "apps/x": "retention[0]",
        "apps/y/z": "retention[1]",
        "b/x": "retention[2]",
        "b/y": None,
    }


BROKEN = [
    ({"keepNewerThan": "30d"}, "retention[1].keepNewerThan: '30d' is not a duration"),
    ({"keepNewerThan": "0s"}, "retention[1].keepNewerThan: must be more than 0s"),
    ({"keepNewerThan": 3600}, "retention[1].keepNewerThan: Expected `str | null`, got `int`"),
    ({"keepPulledWithin": "-1h"}, "retention[1].keepPulledWithin: '-1h' is not a duration"),
    ({"untaggedAfter": "soon"}, "retention[1].untaggedAfter: 'soon' is not a duration"),
    ({"untaggedAfter": "99999999h"}, "retention[1].untaggedAfter: '99999999h' is more than"),
    ({"keepLast": 0}, "retention[1].keepLast: must be from 1 to 1000"),
    ({"keepLast": 1001}, "retention[1].keepLast: must be from 1 to 1000"),
    ({"keepLast": "3"}, "retention[1].keepLast: Expected `int | null`, got `str`"),
    ({"keepTags": ["v[0-9]"]}, "retention[1].keepTags: 'v[0-9]' is not a glob of tags: letters"),
    ({"keepTags": [""]}, "retention[1].keepTags: '' is not a glob of tags"),
    ({"keepTags": "v*"}, "retention[1].keepTags: Expected `array`, got `str`"),
    ({"keepTags": ["v*"] * 65}, "retention[1].keepTags: at most 64 globs"),
    ({"dryRun": "no"}, "retention[1].dryRun: Expected `bool`, got `str`"),
    ({"keepFirst": 3}, "retention[1]: Object contains unknown field `keepFirst`"),
]


@pytest.mark.parametrize(("broken", "message"), BROKEN)
def test_a_rule_that_cannot_be_read_keeps_everything_where_it_could_match(
    broken: dict[str, Any], message: str
) -> None:
    found = parse(
        [
            {"repositories": ["a/**"], "keepLast": 1},
            {"repositories": ["b/**"], "keepLast": 1, **broken},
            {"repositories": ["**"], "keepLast": 1, "untaggedAfter": "1h"},
        ]
    )
    (problem,) = found.problems
    assert problem.startswith(message)
    assert problem.endswith("; everything is kept there")
    kept = rule_for(found, "b/x")
    assert kept is not None
    assert (kept.limits_tags, kept.untagged_after) == (False, None)
    others = [rule_for(found, name) for name in ("a/x", "c")]
    assert [rule is not None and rule.limits_tags for rule in others] == [True, True]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"repositories": ["**"]}, "retention: must be a list of at most 64 rules"),
        ("keep all", "retention: must be a list"),
        ([{"repositories": ["a"]}] * (MOST_RULES + 1), "retention: must be a list of at most 64"),
        (["apps/**"], "retention[0]: must be an object"),
        ([{"keepLast": 1}], "retention[0].repositories: must be a list of 1 to 64 globs"),
        ([{"repositories": []}], "retention[0].repositories: must be a list of 1 to 64 globs"),
        ([{"repositories": "**"}], "retention[0].repositories: must be a list of 1 to 64 globs"),
        ([{"repositories": [7]}], "retention[0].repositories: 7 is not a text"),
        ([{"repositories": ["Apps/*"]}], "retention[0].repositories: 'Apps/*' is not a glob"),
        ([{"repositories": ["a**"]}], "retention[0].repositories: 'a**' is not a glob"),
        (
            [{"repositories": ["a"], "keepLast": 1}, {"repositories": ["/"]}],
            "retention[1].repositories: '/' is not a glob",
        ),
    ],
)
def test_without_knowing_which_repositories_are_meant_everything_is_kept_everywhere(
    value: Any, message: str
) -> None:
    found = parse(value)
    (problem,) = found.problems
    assert problem.startswith(message)
    assert problem.endswith("; everything is kept in every repository")
    assert found.rules == ()
    assert rule_for(found, "a") is None


def test_a_broken_rule_is_no_error_of_the_file_that_the_server_reads() -> None:
    text = 'retention: [{repositories: ["**"], keepLast: many}]\nlisten: 127.0.0.1:1'
    found = settings.resolve(document.parse(text), settings.Flags())
    assert found.port == 1
    assert len(found.retention.problems) == 1


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_a_star_stands_for_any_text(glob: str, text: str) -> None:
    expected = re.fullmatch(glob.replace("*", ".*"), text) is not None
    assert matches_text(glob, text) == expected


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
def test_the_digest_that_a_tag_is_attached_to_is_known(suffix: str) -> None:
    assert attached_to(f"sha256-{HEX}{suffix}") == f"sha256:{HEX}"
    assert attached_to(f"sha512-{HEX}{HEX}{suffix}") == f"sha512:{HEX}{HEX}"


@pytest.mark.parametrize(
    "name",
    ["v1", f"sha256-{HEX}.txt", f"sha256-{HEX}0", f"sha512-{HEX}.sig", f"sha256-{HEX}.sig.sig"],
)
def test_other_tags_are_attached_to_nothing(name: str) -> None:
    assert attached_to(name) is None
