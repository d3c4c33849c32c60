# SPDX-License-Identifier: Apache-2.0
"""Whether rules of retention are applied shows in the status, and in an Event when that changes."""

from datetime import timedelta
from typing import Any

import pytest

from cais_operator import report, status
from cais_operator.observed import ServerState
from operator_builders import NOW, body, registry
from support.observing import conditions_of, message_of, observed_of, server_of

RULES = {"retention": [{"repositories": ["a/**"], "keepLast": 3}, {"repositories": ["**"]}]}
PROBLEM = "retention[0].keepLast: must be from 1 to 2; everything is kept there"


def of(spec: dict[str, Any], server: ServerState, before: dict[str, Any] | None = None) -> Any:
    observed = observed_of(server=server)
    return status.of(registry(spec, status=before), observed, (), NOW + timedelta(minutes=1))


def test_rules_that_the_server_reads_are_applied() -> None:
    found = of(RULES, server_of())
    assert conditions_of(found)["RetentionApplied"] == ("True", "Applied")
    assert message_of(found, "RetentionApplied") == "each garbage collection applies 2 rules"


def test_rules_that_only_report_are_told() -> None:
    rules = [*RULES["retention"], {"repositories": ["b"], "dryRun": True}]
    found = of({"retention": rules}, server_of())
    assert message_of(found, "RetentionApplied") == (
        "each garbage collection applies 3 rules; 1 of them only say what would go (dryRun)"
    )


def test_a_rule_that_the_server_cannot_read_shows_and_the_registry_is_ready() -> None:
    found = of(RULES, server_of(retention_problems=(PROBLEM,)))
    conditions = conditions_of(found)
    assert conditions["RetentionApplied"] == ("False", "RuleRefused")
    assert conditions["Ready"] == ("True", "Serving")
    assert PROBLEM in message_of(found, "RetentionApplied")


def test_a_refused_rule_is_one_event_and_a_warning() -> None:
    before = of(RULES, server_of())
    after = of(RULES, server_of(retention_problems=(PROBLEM,)), before)
    (event,) = report.events(body(RULES), before, after, NOW)
    assert (event["type"], event["reason"]) == ("Warning", "RuleRefused")
    assert PROBLEM in event["message"]
    again = of(RULES, server_of(retention_problems=(PROBLEM,)), after)
    assert list(report.events(body(RULES), after, again, NOW)) == []


@pytest.mark.parametrize("problems", [(), (PROBLEM,)])
def test_what_was_known_stands_while_the_server_is_silent(problems: tuple[str, ...]) -> None:
    before = of(RULES, server_of(retention_problems=problems))
    silent = of(RULES, ServerState(error="timeout"), before)
    assert conditions_of(silent)["RetentionApplied"] == conditions_of(before)["RetentionApplied"]


def test_without_rules_nothing_is_said() -> None:
    before = of(RULES, server_of())
    for server in (server_of(), ServerState(error="timeout")):
        assert "RetentionApplied" not in conditions_of(of({}, server, before))


def test_what_retention_deleted_is_in_the_status() -> None:
    run = {**server_of().gc["lastSuccess"], "tagsDeleted": 7, "untaggedDeleted": 2}  # type: ignore[index]
    found = of(RULES, server_of(gc={"last": run, "lastSuccess": run}))
    counts = found["garbageCollection"]
    assert (counts["tagsDeleted"], counts["untaggedDeleted"]) == (7, 2)
