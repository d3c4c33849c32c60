# SPDX-License-Identifier: Apache-2.0
"""Each alert fires when it should, says so in its words, and else does not: tried by promtool."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import chart
import promtool
from support.alert_cases import CASES, Case, Series, labelled, target

ALERTS = chart.CHART / "files" / "alerts"
pytestmark = pytest.mark.timeout(300)  # the first run on a machine fetches promtool


def text_of(side: str) -> str:
    return (ALERTS / f"{side}.yaml").read_text()


def rules(side: str, text: str = "") -> dict[str, dict[str, Any]]:
    """The alerts of a side, or of a text, by name."""
    groups = yaml.safe_load(text or text_of(side))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def trial(side: str, case: Case, series: Series, rule: dict[str, Any]) -> dict[str, Any]:
    """One test of promtool: the alert fires at the end if that is what the series are for."""
    labels = {**rule["labels"], **case.labels, **(target(side) if case.of_target else {})}
    told = {"summary": case.summary, "description": rule["annotations"]["description"].strip()}
    alert = {"exp_labels": labels, "exp_annotations": told}
    given = [{"series": labelled(side, name), "values": it} for name, it in series.items()]
    look = {
        "eval_time": f"{case.at}m",
        "alertname": rule["alert"],
        "exp_alerts": [alert] if series is case.fires else [],
    }
    name = f"{rule['alert']} {'fires' if series is case.fires else 'is calm'}: {series}"
    return {"name": name, "interval": "1m", "input_series": given, "alert_rule_test": [look]}


def trials(side: str, text: str) -> Iterator[dict[str, Any]]:
    """The cases of all alerts, or of those that the text has in another way."""
    for name, rule in rules(side).items():
        if text != text_of(side) and rules(side, text)[name] == rule:
            continue
        case = CASES[side][name]
        for series in (case.fires, *case.calm):
            yield trial(side, case, series, rule)


def tried(side: str, folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Have promtool try the cases with these rules."""
    (folder / "rules.yaml").write_text(text)
    tests = {"rule_files": ["rules.yaml"], "tests": list(trials(side, text))}
    (folder / "tests.yaml").write_text(yaml.safe_dump(tests))
    command = [str(promtool.promtool()), "test", "rules", str(folder / "tests.yaml")]
    return subprocess.run(command, text=True, capture_output=True, check=False)


@pytest.mark.parametrize("side", CASES)
def test_each_alert_fires_when_it_should_and_else_does_not(side: str, tmp_path: Path) -> None:
    assert list(CASES[side]) == list(rules(side))
    done = tried(side, tmp_path, text_of(side))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("side", "before", "after", "named"),
    [
        ("registry", "0.1 * cais_disk_capacity", "0.2 * cais_disk_capacity", "FillingUp is calm"),
        ("registry", "cais_database_up == 0", "cais_database_up == 2", "DatabaseDown fires"),
        ("registry", "humanizeDuration", "humanize", "CertificateExpires fires"),
        ("operator", "for: 30m", "for: 15m", "NotReady is calm"),
        ("operator", "max by (kind) ", "max ", "Blind fires"),
    ],
)
def test_an_alert_that_is_changed_is_found(
    side: str, before: str, after: str, named: str, tmp_path: Path
) -> None:
    text = text_of(side)
    assert before in text
    done = tried(side, tmp_path, text.replace(before, after))
    assert done.returncode == 1
    assert named in done.stdout + done.stderr
