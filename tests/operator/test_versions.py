# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from cais_operator import desired, versions
from cais_operator.observed import ServerState
from cais_operator.status import of
from cais_operator.versions import Field, Version, image, problems, readable
from operator_builders import NOW, SETTINGS, WAY, registry
from support.observing import WANTED, observed_of

PIN = {"version": "0.1.0"}
LATER = Version(0, 2, 0)


def refused(version: str, own: str = "0.1.3") -> list[tuple[str, object, str]]:
    found = problems(registry({"version": version}), own=own)
    return [(one.field, one.value, one.rule) for one in found]


@pytest.mark.parametrize(
    ("version", "own"),
    [
        ("0.1.0", "0.1.3"),
        ("0.1.9", "0.1.3"),  # a newer patch of the server does not wait for the operator
        ("0.2.0-rc.1", "0.2.0"),
        ("0.1.0", "0.2.0"),  # the version before
        ("0.9.0", "1.0.0"),
    ],
)
def test_servers_that_the_operator_works_with_are_taken(version: str, own: str) -> None:
    assert refused(version, own) == []


@pytest.mark.parametrize(
    ("version", "own"), [("0.0.9", "0.1.3"), ("0.2.0", "0.1.3"), ("1.0.0", "0.1.3")]
)
def test_others_are_refused_with_those_that_are_allowed(version: str, own: str) -> None:
    rule = f"this operator, {own}, works with servers from 0.1.0 to 0.1.x"
    assert refused(version, own) == [("spec.version", version, rule)]


@pytest.mark.parametrize(
    ("default", "found"),
    [
        ("cais-registry:0.2.0", "cais-registry:0.1.0"),
        ("cais-registry", "cais-registry:0.1.0"),
        ("hub.example.com:5000/a/cais-registry", "hub.example.com:5000/a/cais-registry:0.1.0"),
        ("hub.example.com:5000/a/cais:dev", "hub.example.com:5000/a/cais:0.1.0"),
        ("cais-registry:0.2.0@sha256:ab", "cais-registry:0.1.0"),
        ("cais-registry@sha256:ab", "cais-registry:0.1.0"),
        # what runs already is pinned without a restart
        ("cais-registry:0.1.0", "cais-registry:0.1.0"),
        ("cais-registry:0.1.0@sha256:ab", "cais-registry:0.1.0@sha256:ab"),
    ],
)
def test_the_version_is_the_tag_of_the_image(default: str, found: str) -> None:
    assert image(registry(PIN), default) == found
    assert image(registry(), default) == default


def test_server_and_garbage_collection_have_one_image() -> None:
    for spec, wanted in (
        ({}, SETTINGS.registry_image),
        ({"version": "0.1.7"}, "cais-registry:0.1.7"),
    ):
        made = registry(spec)
        pod = desired.deployment(made, SETTINGS)["spec"]["template"]["spec"]
        job = desired.cron_job(made, SETTINGS, WAY)["spec"]["jobTemplate"]["spec"]["template"]
        images = [one["containers"][0]["image"] for one in (pod, job["spec"])]
        assert images == [wanted, wanted]


DOCUMENT = {"tokens": {"keyFile": "k"}, "quota": 5, "access": {"rules": [], "issuers": []}}


@pytest.mark.parametrize(
    ("later", "left"),
    [
        ({}, DOCUMENT),
        ({"tokens"}, {"quota": 5, "access": {"rules": [], "issuers": []}}),
        ({"access.issuers"}, {**DOCUMENT, "access": {"rules": []}}),
        ({"tokens", "quota", "access"}, {}),
    ],
)
def test_a_pinned_server_is_written_what_it_reads(later: set[str], left: dict[str, Any]) -> None:
    fields = {**versions.FIELDS, **dict.fromkeys(later, Field(since=LATER))}
    assert readable(DOCUMENT, Version(0, 1, 9), fields) == left
    for newer in (LATER, Version.parse("0.2.0-rc.1"), Version(1, 0, 0), None):
        assert readable(DOCUMENT, newer, fields) == DOCUMENT


RULE = {"repositories": ["**"], "keepLast": 1}
HUB = {"name": "hub", "issuer": "https://ci.example.com", "jwksRef": {"name": "hub-keys"}}


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("quota", {"quota": "1Gi"}),
        ("readOnly", {"readOnly": True}),
        ("retention", {"retention": [RULE]}),
        ("access.issuers", {"access": {"issuers": [HUB]}}),
    ],
)
def test_what_a_pinned_server_cannot_do_is_refused_and_never_left_out_in_silence(
    field: str, asked: dict[str, Any]
) -> None:
    fields = {**versions.FIELDS, field: Field(since=LATER, asked=field)}
    found = problems(registry({**PIN, **asked}), fields)
    rule = f"does not know spec.{field}: take 0.2.0 or newer, or leave it out"
    assert [(one.value, one.rule) for one in found] == [("0.1.0", rule)]
    for fine in (PIN, asked, {**asked, "version": "0.2.1"}):
        assert list(problems(registry(fine), fields, own="0.2.0")) == []


def test_each_field_that_a_spec_asks_for_can_be_looked_up() -> None:
    everything = {
        name: Field(since=LATER, asked=one.asked) for name, one in versions.FIELDS.items()
    }
    assert list(problems(registry(PIN), everything)) == []


def test_the_status_says_which_version_runs_and_remembers_while_the_server_is_silent() -> None:
    answers: tuple[tuple[ServerState | None, dict[str, Any], str | None], ...] = (
        (ServerState(version="0.1.0", files=WANTED), {}, "0.1.0"),
        (ServerState(version="0.2.0", files=WANTED), {"version": "0.1.0"}, "0.2.0"),
        (ServerState(files=WANTED), {"version": "0.1.0"}, "0.1.0"),
        (ServerState(error="away"), {"version": "0.1.0"}, "0.1.0"),
        (None, {"version": "0.1.0"}, "0.1.0"),
        (ServerState(files=WANTED), {}, None),  # an older server does not say
    )
    for server, before, shown in answers:
        said = of(registry(status=before), observed_of(server=server), (), NOW)
        assert said.get("version") == shown
