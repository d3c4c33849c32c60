# SPDX-License-Identifier: Apache-2.0
import itertools
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from cais_operator.consumers import Account, Credential, accounts
from cais_operator.resource import Rotation
from operator_builders import NOW, secret

ROTATION = Rotation()
EVERY, OVERLAP = ROTATION.every.delta, ROTATION.overlap.delta
SECOND = timedelta(seconds=1)


def renewed(before: Account | None, now: datetime = NOW, uid: str = "u") -> Account:
    numbers = itertools.count(len(before.credentials) if before else 0)
    return accounts.renewed(
        before,
        uid=uid,
        generation=1,
        rotation=ROTATION,
        now=now,
        draw=lambda: f"password{next(numbers)}at{now:%Y%m%d%H%M%S}",
    )


def served(account: Account) -> Account:
    return accounts.loaded(account)


def test_a_new_account_has_one_password_that_is_not_handed_out_before_the_server_takes_it() -> None:
    made = renewed(None)
    assert len(made.credentials) == 1
    assert accounts.usable(made) is None
    assert accounts.usable(served(made)) is not None
    assert served(made).loaded == 1


def test_a_password_is_kept_until_it_is_old() -> None:
    made = served(renewed(None))
    assert renewed(made, NOW + EVERY - SECOND) == made
    assert accounts.next_turn(made, ROTATION) == NOW + EVERY


def test_the_old_password_works_on_until_the_new_one_is_delivered_and_an_overlap_longer() -> None:
    first = served(renewed(None))
    turned = renewed(first, NOW + EVERY)
    assert [one.until for one in turned.credentials] == [None, None]
    assert accounts.usable(turned) == first.credentials[0]
    assert accounts.delivered(turned, OVERLAP, NOW + EVERY) == turned  # the new one is not
    at = NOW + EVERY + timedelta(days=40)  # nobody could be reached for long
    assert renewed(turned, at) == turned
    done = accounts.delivered(served(turned), OVERLAP, at)
    assert [one.until for one in done.credentials] == [None, at + OVERLAP]
    assert accounts.delivered(done, OVERLAP, at + SECOND) == done
    assert accounts.next_turn(done, ROTATION) == at + OVERLAP
    assert len(renewed(done, at + OVERLAP - SECOND).credentials) == 2


def test_there_are_never_three_passwords() -> None:
    account, now = None, NOW
    for day in range(400):
        now = NOW + timedelta(days=day)
        account = renewed(account, now)
        assert 1 <= len(account.credentials) <= 2
        account = accounts.delivered(served(account), OVERLAP, now)
    assert account is not None


def test_an_access_of_the_same_name_that_is_another_one_gets_another_password() -> None:
    before = served(renewed(None))
    after = renewed(before, NOW + SECOND, uid="other")
    assert (after.uid, after.loaded) == ("other", 0)
    assert {one.password for one in after.credentials} != {
        one.password for one in before.credentials
    }


def test_accounts_are_read_back_as_they_were_written() -> None:
    account = accounts.delivered(served(renewed(served(renewed(None)), NOW + EVERY)), OVERLAP, NOW)
    written = secret(accounts=accounts.text({"web@team-b": account}))
    assert accounts.read(written) == {"web@team-b": account}


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"web@team-b": 1}',
        '{"web@team-b": {"uid": "u", "generation": 1, "loaded": 1}}',
        '{"web@team-b": {"uid": "u", "generation": "x", "loaded": 1, "credentials": []}}',
        '{"web@team-b": {"uid": "u", "generation": 1e999, "loaded": 1, "credentials": []}}',
        "[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_no_account(text: str) -> None:
    assert accounts.read(secret(accounts=text)) == {}


def test_an_entry_that_cannot_be_read_takes_no_other_with_it() -> None:
    account = renewed(None)
    found = json.loads(accounts.text({"api@team-b": account, "web@team-b": account}))
    found["api@team-b"]["credentials"][0]["issued"] = "once"
    written = secret(accounts=json.dumps(found))
    assert accounts.read(written) == {"web@team-b": account}


@pytest.mark.parametrize(
    "change",
    [
        {"password": "a:b\nadmin:hash"},
        {"password": "short"},
        {"issued": datetime(2026, 3, 1)},  # noqa: DTZ001 - that is what is refused
    ],
)
def test_a_password_that_was_not_made_here_is_not_taken(change: dict[str, object]) -> None:
    good = Credential(password="a" * 32, issued=NOW)
    account = Account(uid="u", generation=1, credentials=(replace(good, **change),))  # type: ignore[arg-type]
    assert accounts.read(secret(accounts=accounts.text({"web@team-b": account}))) == {}


def test_a_password_is_not_shown() -> None:
    assert "a" * 32 not in repr(Credential(password="a" * 32, issued=NOW))
