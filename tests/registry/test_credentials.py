# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import bcrypt
import pytest

from cais_registry.http import credentials, htpasswd
from cais_registry.http.credentials import Verifier
from cais_registry.http.htpasswd import Users
from cais_registry.model.errors import TooManyRequests, Unauthorized


def hashed(password: str) -> bytes:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Counted:
    """Counts the runs of bcrypt, and what they cost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs = 0
        self.work = 0
        self._real = credentials._bcrypt_equal
        monkeypatch.setattr(credentials, "_bcrypt_equal", self)

    def __call__(self, secret: bytes, expected: bytes) -> bool:
        self.runs += 1
        self.work += 1 << int(expected.split(b"$")[2])
        return self._real(secret, expected)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


USERS: Users = {"ci": (hashed("secret"),)}


@pytest.mark.parametrize(
    ("user", "password", "is_right"),
    [
        ("ci", "secret", True),
        ("ci", "Secret", False),
        ("ci", "", False),
        ("bob", "secret", False),
        ("", "", False),
    ],
)
async def test_only_the_right_password_is_right(
    user: str, password: str, *, is_right: bool
) -> None:
    assert await Verifier(USERS).verify(user, password) is is_right


async def test_a_password_of_72_bytes_is_compared_wholly() -> None:
    verifier = Verifier({"a": (hashed("x" * 72),)})
    assert await verifier.verify("a", "x" * 72)
    assert not await verifier.verify("a", "x" * 71)


@pytest.mark.parametrize("user", ["ci", "nobody"])
@pytest.mark.parametrize("password", ["x" * 73, "ä" * 37, "x" * 100_000, "secret\0"])
async def test_what_no_password_can_be_is_refused_in_words_and_not_cut(
    user: str, password: str, counted: Counted
) -> None:
    held: list[float] = []

    async def sleep(seconds: float) -> None:
        held.append(seconds)

    verifier = Verifier({"ci": (hashed("x" * 72), hashed("secret"))}, sleep=sleep)
    with pytest.raises(Unauthorized, match="longer than 72 bytes"):
        await verifier.verify(user, password)
    assert counted.runs == 0
    assert held == [1.0]  # told at once, a flood would ask again at once
    assert verifier.outcomes["failure"] == 1


async def test_a_verified_password_is_remembered_for_a_while(counted: Counted) -> None:
    clock = Clock()
    verifier = Verifier(USERS, clock=clock)
    for _ in range(3):
        assert await verifier.verify("ci", "secret")
    assert counted.runs == 1
    clock.now = 3600
    assert await verifier.verify("ci", "secret")
    assert counted.runs == 2


async def test_a_password_in_use_is_not_forgotten(counted: Counted) -> None:
    clock = Clock()
    verifier = Verifier(USERS, clock=clock)
    for clock.now in range(0, 3600, 200):
        assert await verifier.verify("ci", "secret")
    assert counted.runs == 1


async def test_a_wrong_password_is_never_remembered(counted: Counted) -> None:
    verifier = Verifier(USERS)
    assert not await verifier.verify("ci", "wrong")
    assert not await verifier.verify("ci", "wrong")
    assert counted.runs == 2


async def test_a_changed_password_counts_at_once() -> None:
    verifier = Verifier(USERS)
    assert await verifier.verify("ci", "secret")
    verifier.replace({"ci": (hashed("new"),)})
    assert not await verifier.verify("ci", "secret")
    assert await verifier.verify("ci", "new")


async def test_a_removed_user_is_out_at_once() -> None:
    verifier = Verifier(USERS)
    assert await verifier.verify("ci", "secret")
    verifier.replace({})
    assert not await verifier.verify("ci", "secret")


async def test_a_password_that_changes_while_it_is_checked_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verifier = Verifier(USERS)

    def slow(_secret: bytes, _expected: bytes) -> bool:
        verifier.replace({"ci": (hashed("new"),)})
        return True

    monkeypatch.setattr(credentials, "_bcrypt_equal", slow)
    assert not await verifier.verify("ci", "secret")


async def test_an_unknown_user_costs_as_much_as_a_known_one(counted: Counted) -> None:
    verifier = Verifier(USERS)
    assert not await verifier.verify("nobody", "secret")
    assert counted.runs == 1
    assert counted.work == 1 << 4


WORK: Users = {
    "cheap": (hashed("a"),),
    "dear": (bcrypt.hashpw(b"b", bcrypt.gensalt(7)),),
    "both": (bcrypt.hashpw(b"c", bcrypt.gensalt(7)), hashed("d")),
}


@pytest.mark.parametrize("user", [*WORK, "nobody", ""])
async def test_every_wrong_password_costs_the_same_whoever_is_named(
    user: str, counted: Counted
) -> None:
    """By the work that bcrypt is given: hashes differ in cost, and users in how many they have."""
    assert not await Verifier(WORK).verify(user, "wrong")
    assert counted.work == (1 << 7) + (1 << 4)


@pytest.mark.parametrize("password", ["old", "new"])
async def test_either_of_two_passwords_is_right_and_remembered(
    password: str, counted: Counted
) -> None:
    verifier = Verifier({"ci": (hashed("old"), hashed("new"))})
    assert await verifier.verify("ci", password)
    runs = counted.runs
    assert await verifier.verify("ci", password)
    assert counted.runs == runs


async def test_of_two_passwords_the_one_that_is_taken_away_ends_at_once_and_only_that(
    counted: Counted,
) -> None:
    old, new = hashed("old"), hashed("new")
    verifier = Verifier({"ci": (old, new)})
    assert await verifier.verify("ci", "old")
    assert await verifier.verify("ci", "new")
    runs = counted.runs
    verifier.replace({"ci": (new,)})
    assert await verifier.verify("ci", "new")
    assert counted.runs == runs
    assert not await verifier.verify("ci", "old")


async def test_requests_that_ask_the_same_at_once_share_one_run(counted: Counted) -> None:
    verifier = Verifier(USERS)
    answers = await asyncio.gather(*(verifier.verify("ci", "secret") for _ in range(20)))
    assert all(answers)
    assert counted.runs == 1


async def test_too_many_checks_at_once_are_refused(counted: Counted) -> None:
    verifier = Verifier(USERS)
    asked = [verifier.verify("ci", f"wrong {number}") for number in range(100)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, TooManyRequests)]
    assert len(refused) == 100 - counted.runs
    assert refused


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_REMEMBERED", 3)
    users = {f"u{number}": (hashed("x"),) for number in range(6)}
    verifier = Verifier(users)
    for user in users:
        assert await verifier.verify(user, "x")
    assert len(verifier._verified) == 3


def test_a_header_is_recalled_for_a_second_and_until_users_change() -> None:
    clock = Clock()
    verifier = Verifier(USERS, clock=clock)
    assert verifier.recall("Basic right") is None
    verifier.remember("Basic right", "ci")
    assert verifier.recall("Basic right") == "ci"
    assert verifier.recall("Basic wrong") is None
    clock.now = 1.5
    assert verifier.recall("Basic right") is None
    verifier.remember("Basic right", "ci")
    verifier.replace(USERS)
    assert verifier.recall("Basic right") is None


def test_what_headers_are_recalled_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_REMEMBERED", 3)
    verifier = Verifier(USERS)
    for number in range(8):
        verifier.remember(f"Basic {number}", "ci")
    assert len(verifier._headers) <= 3


def test_users_are_read_with_comments_and_empty_lines() -> None:
    line = hashed("x").decode()
    users = htpasswd.parse(f"# users\n\nci:{line}\nbob@example.org:{line.replace('2b', '2y')}\n")
    assert list(users) == ["ci", "bob@example.org"]
    assert users["ci"] == (line.encode(),)


def test_a_user_may_have_two_lines_wherever_they_are() -> None:
    one, two = hashed("x").decode(), hashed("y").decode()
    users = htpasswd.parse(f"ci:{one}\nbob:{two}\nci:{two}\n")
    assert users == {"ci": (one.encode(), two.encode()), "bob": (two.encode(),)}


GOOD = "$2y$10$" + "a" * 53


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ci", "line 1: the password is not hashed with bcrypt"),
        ("ci:plain", "line 1: the password is not hashed with bcrypt"),
        ("ci:{SHA}abc", "line 1"),
        ("ci:$apr1$x$y", "line 1"),
        (f"ci:{GOOD}x", "line 1"),
        (f"ci:{GOOD}\n" * 3, "line 3: user 'ci' has more than 2 passwords"),
        (f"c i:{GOOD}", "line 1: user name 'c i'"),
        (f"*:{GOOD}", "line 1: user name '*'"),
        (f":{GOOD}", "line 1: user name ''"),
        (f"ci:{GOOD.replace('$10$', '$31$')}", "line 1: the bcrypt cost 31"),
        (f"ci:{GOOD.replace('$10$', '$03$')}", "line 1: the bcrypt cost 03"),
    ],
)
def test_a_bad_line_is_refused_without_telling_the_hash(text: str, says: str) -> None:
    with pytest.raises(htpasswd.HtpasswdError) as caught:
        htpasswd.parse(text)
    assert str(caught.value).startswith(says)
    assert "plain" not in str(caught.value)
    assert "aaaa" not in str(caught.value)
