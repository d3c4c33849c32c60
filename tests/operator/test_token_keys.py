# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from cais_operator import pki
from cais_operator.desired import token_keys_secret
from cais_operator.token_keys import EVERY, KEPT, SHOWN, TokenKey, known, text, turned, turns
from operator_builders import NOW, SETTINGS, registry, secret
from support.operator_bench import KEY, bench

HOUR = timedelta(hours=1)


def key(name: str, age: timedelta) -> TokenKey:
    return TokenKey(created=NOW - age, pem=name)


def make(at: datetime = NOW) -> Callable[[], TokenKey]:
    return lambda: TokenKey(created=at, pem="made")


@pytest.mark.parametrize(
    ("there", "order"),
    [
        ([], "made"),
        ([key("a", timedelta())], "a"),
        ([key("a", SHOWN)], "a"),
        ([key("a", EVERY - HOUR)], "a"),
        ([key("a", EVERY)], "a made"),
        ([key("a", EVERY), key("b", timedelta())], "a b"),
        ([key("a", EVERY), key("b", SHOWN - timedelta(seconds=1))], "a b"),
        ([key("b", SHOWN), key("a", EVERY)], "b a"),
        ([key("b", SHOWN + KEPT - timedelta(seconds=1)), key("a", EVERY)], "b a"),
        ([key("b", SHOWN + KEPT), key("a", EVERY)], "b"),
        ([key("b", 2 * EVERY), key("a", 3 * EVERY)], "b made"),
        ([key("a", EVERY), key("b", SHOWN + KEPT)], "b a"),
        ([key("a", 3 * EVERY), key("b", 2 * EVERY)], "b made a"),
    ],
)
def test_keys_take_turns_and_each_is_shown_before_and_kept_after_it_signs(
    there: list[TokenKey], order: str
) -> None:
    assert " ".join(one.pem for one in turned(there, NOW, make())) == order


def test_at_each_hour_of_half_a_year_every_token_that_can_be_good_has_its_key() -> None:
    """Tokens live an hour at most, and files reach a pod within minutes, an hour at the most."""
    keys: tuple[TokenKey, ...] = ()
    before: tuple[TokenKey, ...] = ()
    signers = set()
    for hours in range(24 * 180):
        now = NOW + hours * HOUR
        keys = turned(keys, now, make(now))
        assert turned(keys, now, make(now)) == keys
        if before:
            assert keys[0] in before
            assert before[0] in keys
        signers.add(keys[0].created)
        assert len(keys) <= 3
        before = keys
    assert len(signers) == 6


@pytest.mark.parametrize("outage", [HOUR, KEPT, SHOWN + KEPT, EVERY / 2])
def test_a_key_is_kept_after_it_has_signed_however_long_nobody_looked(outage: timedelta) -> None:
    keys = turned([key("old", EVERY)], NOW, make())
    later = NOW + SHOWN + outage
    keys = turned(keys, later, make(later))
    for passed in (timedelta(), timedelta(minutes=1), KEPT - timedelta(seconds=1)):
        keys = turned(keys, later + passed, make(later))
        assert (keys[0].pem, keys[-1].pem) == ("made", "old")
    assert "old" not in [one.pem for one in turned(keys, later + KEPT, make(later))]


@pytest.mark.parametrize(
    "there",
    [
        [],
        [key("a", SHOWN)],
        [key("a", EVERY)],
        [key("a", EVERY), key("b", SHOWN - HOUR / 2)],
        [key("b", SHOWN), key("a", EVERY)],
        [key("b", 2 * EVERY), key("a", 3 * EVERY)],
    ],
)
def test_it_is_known_when_keys_change_next(there: list[TokenKey]) -> None:
    keys = turned(there, NOW, make())
    due = min(turns(keys))
    assert due > NOW
    for passed, is_same in ((due - timedelta(seconds=1), True), (due, False)):
        assert (turned(keys, passed, make(passed)) == keys) is is_same


def test_nothing_is_due_without_a_key() -> None:
    assert not [*turns(())]


def test_what_was_written_is_read_back() -> None:
    keys = (pki.new_token_key(NOW), pki.new_token_key(NOW - EVERY))
    written = token_keys_secret(registry(), SETTINGS, keys)
    assert known(written, NOW) == keys


@pytest.mark.parametrize(("ahead", "count"), [(timedelta(minutes=1), 1), (HOUR, 0), (EVERY, 0)])
def test_a_key_of_the_future_was_not_written_by_us_but_clocks_may_differ(
    ahead: timedelta, count: int
) -> None:
    written = token_keys_secret(registry(), SETTINGS, (pki.new_token_key(NOW + ahead),))
    assert len(known(written, NOW)) == count


GOOD = text((pki.new_token_key(NOW),))


@pytest.mark.parametrize(
    "broken",
    [
        GOOD + "more",
        "before" + GOOD,
        GOOD.replace("created", "made"),
        GOOD.replace("2026", "1x26"),
        GOOD.replace("+00:00", ""),
        GOOD.replace("PRIVATE", "PUBLIC"),
    ],
)
def test_what_somebody_else_has_changed_is_made_anew(broken: str) -> None:
    assert known(secret(keys=GOOD), NOW)
    assert known(secret(keys=broken), NOW) == ()
    assert known(None, NOW) == ()
    assert known({"data": {"keys": "%"}}, NOW) == ()


def test_no_key_shows_in_a_message() -> None:
    made = pki.new_token_key(NOW)
    assert made.pem not in repr(made)


async def test_the_operator_changes_keys_by_their_age_and_nothing_else_with_them() -> None:
    made = bench()
    await made.settle()
    first = made.text("team-token-keys", "keys")
    made.cluster.requests.clear()
    for passed, count in ((EVERY, 2), (EVERY + SHOWN, 2), (EVERY + SHOWN + KEPT, 1)):
        made.now = NOW + passed
        for _ in range(2):
            await made.operator().reconcile(KEY)
        assert made.text("team-token-keys", "keys").count("BEGIN") == count
    assert made.text("team-token-keys", "keys") != first
    changed = {(verb, name) for verb, kind, name in made.cluster.writes if kind == "Secret"}
    assert changed == {("replace", "team-token-keys")}
    assert not [kind for _, kind, _ in made.cluster.writes if kind in ("Deployment", "ConfigMap")]
