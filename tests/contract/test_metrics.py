# SPDX-License-Identifier: Apache-2.0
"""Metrics: named by Prometheus's conventions, documented, on the dashboards and in the alerts.

https://prometheus.io/docs/practices/naming/ and the checks of `promtool check metrics`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import promql_parser
import pytest
import yaml

from cais_operator.metrics import Metrics
from cais_operator.resource import Key
from cais_registry.http import metrics
from support.alert_cases import CASES
from support.scraped import families, scrape

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
FILES = ROOT / "charts" / "cais" / "files"
SIDES = ("registry", "operator")
LABELS: Final = {
    "route", "method", "status", "status_class", "outcome", "kind",
    "version", "database", "storage",
    "result", "phase", "ready", "verb", "code", "reason", "stage",
}  # fmt: skip
"""None of them has a value that a client chooses (tests/integration/registry/test_metrics.py)."""

_OTHER_UNITS: Final = re.compile(r"_(ms|milliseconds|minutes|hours|days|kb|mb|gb|percent)(_|$)")
_COUNTED_TWICE: Final = re.compile(r"_(count|sum|bucket|info_info|total_total)$")
_PROMQL_NAME: Final = re.compile(r"\b(?:cais|process)_[a-z0-9_]+")


def faults(text: str) -> Iterator[str]:
    """What is wrong with the names of a scrape."""
    for name, family in families(text).items():
        if not family.documentation.endswith(".") or family.type == "unknown":
            yield f"{name} lacks HELP or TYPE"
        if not re.fullmatch(r"(cais|process)_[a-z0-9_]+", name) or "__" in name:
            yield f"{name} is no name"
        if _OTHER_UNITS.search(name) or _COUNTED_TWICE.search(name):
            yield f"{name} has no base unit, or a suffix that a type adds"
        if name.endswith("_total") and family.type != "counter":
            yield f"{name} is no counter"
        if "timestamp" in name and not name.endswith("_timestamp_seconds"):
            yield f"{name} is no timestamp in seconds"
        if family.type == "histogram" and not name.endswith(("_seconds", "_bytes")):
            yield f"{name} has no unit"
        for sample in family.samples:
            for label in set(sample.labels) - LABELS - {"le"}:
                yield f"{name} has the label {label}"


def scraped(side: str) -> str:
    """What one of the two programs says, with something of everything."""
    text = (metrics.render(scrape()) if side == "registry" else of_operator()).decode()
    return "".join(line for line in text.splitlines(True) if "_created" not in line)


def of_operator() -> bytes:
    watch = SimpleNamespace(kind="Secret", last_answer=1.0, ends={"ended": 1})
    made = Metrics(queued=lambda: 0, age=lambda: 0, watches=lambda: [watch], clock=lambda: 3.0)
    made.census.note(Key("a", "b"), {"certificate": {"notAfter": "2026-03-01T00:00:00Z"}})
    made.authority.note("Steady", ["Steady"], None, datetime.now(UTC))
    made.reconciles.labels("done").inc()
    made.requested("get", "200")
    return made.text()


def expected(side: str) -> set[str]:
    return set(families(scraped(side).encode()))


@pytest.mark.parametrize(("side", "least"), [("registry", 10), ("operator", 2)])
def test_names_follow_the_conventions(side: str, least: int) -> None:
    text = scraped(side)
    assert list(faults(text)) == []
    raw = [line for line in text.splitlines() if line.startswith("# TYPE")]
    counters = [line for line in raw if line.endswith(" counter")]
    assert all(line.split()[2].endswith("_total") for line in counters)
    assert len(counters) > least


@pytest.mark.parametrize(
    "text",
    [
        "cais_tags 1\n",
        "# HELP cais_wait_ms W.\n# TYPE cais_wait_ms gauge\ncais_wait_ms 1\n",
        "# HELP cais_x_count X.\n# TYPE cais_x_count gauge\ncais_x_count 1\n",
        "# HELP cais_x_total X.\n# TYPE cais_x_total gauge\ncais_x_total 1\n",
        "# HELP cais_x_timestamp X.\n# TYPE cais_x_timestamp gauge\ncais_x_timestamp 1\n",
        "# HELP other X.\n# TYPE other gauge\nother 1\n",
        '# HELP cais_x X.\n# TYPE cais_x gauge\ncais_x{user="bob"} 1\n',
        '# HELP cais_x X.\n# TYPE cais_x histogram\ncais_x_bucket{le="+Inf"} 1\ncais_x_count 1\n',
    ],
)
def test_a_name_that_does_not_is_found(text: str) -> None:
    assert list(faults(text))


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    documented = set(re.findall(r"`(cais_[a-z_]+)(?:\{[a-z_, ]*\})?`", OPERATIONS))
    server = {name for name in expected("registry") if name.startswith("cais_")}
    assert documented == server | expected("operator")


@pytest.mark.parametrize("side", SIDES)
def test_labels_are_documented_as_they_are(side: str) -> None:
    for name, family in families(scraped(side).encode()).items():
        labels = sorted({label for s in family.samples for label in s.labels} - {"le"})
        if labels and name.startswith("cais_"):
            found = re.search(rf"`{name}\{{([a-z_, ]*)\}}`", OPERATIONS)
            assert found, name
            assert sorted(found[1].split(", ")) == labels


def expressions(node: Any) -> Iterator[str]:
    """All PromQL of a dashboard."""
    if isinstance(node, dict):
        yield from (node[key] for key in ("expr", "definition") if isinstance(node.get(key), str))
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from expressions(one)


def used(text: str) -> set[str]:
    """Names of metrics in PromQL, without what a histogram adds to them."""
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in _PROMQL_NAME.findall(text)}


def dashboard(side: str) -> Any:
    return json.loads((FILES / "dashboards" / f"{side}.json").read_text())


def strangers(text: str, side: str) -> set[str]:
    """Metrics and labels of PromQL that a scrape does not have."""
    matchers = re.findall(r'([a-z_]+)(?:=~|!=|=)"', text)
    groups = re.findall(r"(?:by|on|without) \(([^)]*)\)", text)
    grouped = {one for group in groups for one in group.split(", ") if one}
    return (used(text) - expected(side)) | (
        {*matchers, *grouped} - LABELS - {"job", "instance", "le"}
    )


@pytest.mark.parametrize(("side", "least"), [("registry", 25), ("operator", 15)])
def test_dashboards_use_only_metrics_and_labels_that_exist(side: str, least: int) -> None:
    found = list(expressions(dashboard(side)))
    assert len(found) > least
    assert [strange for text in found for strange in strangers(text, side)] == []


@pytest.mark.parametrize("side", SIDES)
def test_expressions_are_ones_that_prometheus_can_read(side: str) -> None:
    shown = [one for one in expressions(dashboard(side)) if not one.startswith("label_values")]
    asked = [*shown, *(alert["expr"] for alert in alerts(side))]
    for text in asked:
        promql_parser.parse(text.replace("$__rate_interval", "5m").replace("$__range", "1h"))
    with pytest.raises(ValueError, match=r"brackets|paren|expect"):
        promql_parser.parse("sum(cais_tags")


def test_the_dashboards_show_nearly_everything() -> None:
    shown = {name for side in SIDES for text in expressions(dashboard(side)) for name in used(text)}
    there = expected("registry") | expected("operator")
    left = {name for name in there - shown if name.startswith("cais_")}
    assert left <= {
        "cais_gc_run_seconds_total",
        "cais_gc_last_run_timestamp_seconds",
        "cais_usage_timestamp_seconds",
    }


@pytest.mark.parametrize("side", SIDES)
def test_panels_of_a_dashboard_are_named_and_told_apart(side: str) -> None:
    panels = dashboard(side)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"]
        assert panel["type"] == "row" or (panel["targets"] and panel["description"])
        x, width = panel["gridPos"]["x"], panel["gridPos"]["w"]
        assert x + width <= 24


def alerts(side: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((FILES / "alerts" / f"{side}.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("side", SIDES)
def test_alerts_use_only_metrics_and_labels_that_exist(side: str) -> None:
    assert len(alerts(side)) == len({alert["alert"] for alert in alerts(side)}) > 5
    for alert in alerts(side):
        assert used(alert["expr"]), alert["alert"]
        assert strangers(alert["expr"], side) == set(), alert["alert"]


@pytest.mark.parametrize("side", SIDES)
def test_alerts_are_tried_with_metrics_and_labels_that_exist(side: str) -> None:
    for case in CASES[side].values():
        for series in (case.fires, *case.calm):
            assert strangers(" ".join(series), side) == set(), series


def test_a_metric_or_label_that_does_not_exist_is_found() -> None:
    text = 'sum by (pod) (cais_nothing{user="x"}) and on (node) cais_tags'
    assert strangers(text, "registry") == {"pod", "cais_nothing", "user", "node"}


def test_each_alert_names_the_registry_says_what_to_do_and_is_documented() -> None:
    documented = re.findall(r"^\| `(Cais\w+)` \| (\w+) \|", OPERATIONS, re.MULTILINE)
    every = [alert for side in SIDES for alert in alerts(side)]
    assert documented == [(alert["alert"], alert["labels"]["severity"]) for alert in every]
    for alert in every:
        told = alert["annotations"]
        assert set(told) == {"summary", "description"}
        assert "{{ $labels.instance }}" in told["summary"] or alert not in alerts("registry")
        assert re.search(
            r"\b(Look|Raise|Delete|The condition|The log)\b|says how", told["description"]
        )
