# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cais_operator import pki, tls
from cais_operator.certificates import Leaf
from cais_operator.names import Hosts
from operator_builders import HOSTS, NOW, authority, leaf, secret

RENEW_BEFORE = timedelta(days=30)
ANOTHER = pki.new_authority(name="another", validity=timedelta(days=3650), now=NOW)
SHORT = pki.new_authority(name="short", validity=timedelta(days=20), now=NOW)
FORMER = replace(ANOTHER, former=authority().certificate)
FEWER = Hosts(dns=("team.team-a.svc",), ips=())
MORE = Hosts(dns=(*HOSTS.dns, "old.example.com"), ips=HOSTS.ips)


def _secret(found: Leaf) -> dict[str, Any]:
    return secret(tls_crt=found.certificate, tls_key=found.key)


def _decide(live: dict[str, Any] | None, *, days: int = 0) -> tls.Keep | tls.Issue:
    return tls.decide(
        live, authority(), HOSTS, renew_before=RENEW_BEFORE, now=NOW + timedelta(days=days)
    )


def test_a_good_certificate_is_kept() -> None:
    good = leaf()
    found = _decide(_secret(good))
    assert isinstance(found, tls.Keep)
    assert found.leaf == good
    assert found.facts.not_after == NOW + timedelta(days=90)


CASES = {
    "SecretMissing": None,
    "Unparsable": secret(tls_crt="no certificate", tls_key="no key"),
    "KeyMismatch": _secret(Leaf(certificate=leaf().certificate, key=leaf().key)),
    "WrongAuthority": _secret(leaf(by=ANOTHER)),
    "NamesDiffer": _secret(leaf(FEWER)),
    "NotYetValid": _secret(leaf(at=NOW + timedelta(days=1))),
    "Expiring": _secret(leaf(days=30)),
}


@pytest.mark.parametrize("reason", CASES)
def test_each_check_has_its_reason_and_a_message(reason: str) -> None:
    found = _decide(CASES[reason])
    assert isinstance(found, tls.Issue)
    assert found.reason == reason
    assert found.message


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (_secret(leaf(FEWER, by=ANOTHER, days=1)), "WrongAuthority"),
        (_secret(leaf(FEWER, days=1)), "NamesDiffer"),
        (_secret(Leaf(certificate=leaf(FEWER).certificate, key=leaf().key)), "KeyMismatch"),
    ],
)
def test_of_several_faults_the_first_in_the_chain_is_told(
    live: dict[str, Any], reason: str
) -> None:
    found = _decide(live)
    assert isinstance(found, tls.Issue)
    assert found.reason == reason


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"data": None},
        {"data": {"tls.crt": "%%%", "tls.key": "%%%"}},
        secret(tls_crt=leaf().certificate),
        secret(tls_crt=leaf().certificate, tls_key="-----BEGIN PRIVATE KEY-----\nAAAA\n"),
        secret(tls_crt=leaf().certificate, tls_key="-----BEGIN EC PRIVATE KEY-----\nAAAA\n"),
        {"data": {"tls.crt": "//79", "tls.key": "//79"}},  # no UTF-8
    ],
)
def test_whatever_a_secret_holds_it_is_an_answer_and_no_failure(broken: dict[str, Any]) -> None:
    found = _decide(broken)
    assert isinstance(found, tls.Issue)
    assert found.reason == "Unparsable"
    assert "PRIVATE" not in found.message


def test_names_that_differ_are_listed() -> None:
    found = _decide(_secret(leaf(FEWER)))
    assert isinstance(found, tls.Issue)
    assert found.message == (
        "the certificate lacks 10.96.7.7, registry.example.com; too much: nothing"
    )
    found = _decide(_secret(leaf(MORE)))
    assert isinstance(found, tls.Issue)
    assert found.message == "the certificate lacks nothing; too much: old.example.com"


def test_it_is_renewed_when_its_time_has_come_and_not_before() -> None:
    live = _secret(leaf())
    assert isinstance(_decide(live, days=59), tls.Keep)
    assert isinstance(_decide(live, days=60), tls.Issue)


def test_a_certificate_that_ends_with_its_authority_is_not_issued_again_and_again() -> None:
    live = _secret(leaf(by=SHORT, days=90))
    found = tls.decide(live, SHORT, HOSTS, renew_before=RENEW_BEFORE, now=NOW)
    assert isinstance(found, tls.Keep)


@pytest.mark.parametrize(
    ("found", "may_replace", "reason"),
    [
        (leaf(), False, None),
        (leaf(), True, "AuthorityReplaced"),
        (leaf(by=ANOTHER), True, None),
        (leaf(FEWER), False, "NamesDiffer"),
        (leaf(days=30), False, "Expiring"),
        (leaf(by=SHORT), False, "WrongAuthority"),
    ],
)
def test_a_certificate_of_the_authority_before_is_kept_until_its_turn_comes(
    found: Leaf, *, may_replace: bool, reason: str | None
) -> None:
    verdict = tls.decide(
        _secret(found), FORMER, HOSTS, renew_before=RENEW_BEFORE, now=NOW, may_replace=may_replace
    )
    assert getattr(verdict, "reason", None) == reason
