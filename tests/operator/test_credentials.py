# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from cais_operator.credentials import (
    Passwords,
    UserEntry,
    known_users,
    password_in,
    passwords_in,
    with_others,
)
from cais_operator.desired import users_secret
from operator_builders import NOW, SETTINGS, encoded, registry, secret

ENTRIES = (
    UserEntry(name="admin", hash="$2b$10$abc", fingerprint="11"),
    UserEntry(name="ci", hash="$2b$10$def", fingerprint="22"),
    UserEntry(name="ci", hash="$2b$10$ghi", fingerprint="33"),
)


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("secret", "secret"),
        ("secret\n", "secret"),
        ("secret\r\n", "secret"),
        ("se cret:", "se cret:"),
        ("päss", "päss"),
        ("x" * 72, "x" * 72),
        ("x" * 73, None),
        ("ä" * 37, None),  # 74 bytes
        ("", None),
        ("\n", None),
        ("a\nb", None),
        ("a\x00b", None),
    ],
)
def test_a_password_is_taken_only_when_a_client_can_send_it_whole(
    text: str, password: str | None
) -> None:
    assert password_in(secret(password=text)) == password


@pytest.mark.parametrize(
    "broken",
    [None, {}, {"data": None}, {"data": {"password": "%"}}, {"data": {"password": "/w=="}}],
)
def test_a_secret_without_a_password_gives_none(broken: dict[str, Any] | None) -> None:
    assert password_in(broken) is None


def test_the_key_of_the_password_can_be_chosen() -> None:
    assert password_in(secret(token="t"), "token") == "t"


def test_users_are_read_back_as_they_were_written() -> None:
    written = users_secret(registry(), SETTINGS, ENTRIES)
    admin, *both = ENTRIES
    assert known_users(written) == {"admin": (admin,), "ci": tuple(both)}


def test_users_are_read_as_the_version_before_wrote_them() -> None:
    written = secret(htpasswd="admin:$2b$10$abc\n", fingerprints='{"admin": "11"}')
    assert known_users(written) == {"admin": ENTRIES[:1]}


@pytest.mark.parametrize(
    "broken",
    [
        None,
        {},
        secret(htpasswd="ci:hash\n"),
        secret(htpasswd="ci:hash\n", fingerprints="no json"),
        secret(htpasswd="ci:hash\n", fingerprints="[1]"),
        secret(htpasswd="ci:hash\n", fingerprints='{"ci": 1}'),
        secret(htpasswd="ci:hash\n", fingerprints='{"ci": [1]}'),
        secret(htpasswd="ci:hash\n", fingerprints='{"ci": []}'),
        secret(htpasswd="no colon", fingerprints='{"ci": "a"}'),
    ],
)
def test_what_cannot_be_read_is_left_out(broken: dict[str, Any] | None) -> None:
    assert known_users(broken) == {}


@pytest.mark.parametrize(
    "passwords",
    [
        Passwords(current="a"),
        Passwords(current="a", next="b"),
        Passwords(current="a", previous="b", until=NOW),
    ],
)
def test_passwords_are_read_back_as_they_were_written(passwords: Passwords) -> None:
    manifest = secret(username="ci", password=passwords.current)
    written = with_others(manifest, passwords)
    assert passwords_in(written) == passwords
    assert manifest == secret(username="ci", password=passwords.current)
    assert "'a'" not in repr(passwords)


def test_an_old_password_without_an_end_that_can_be_read_is_none() -> None:
    written = with_others(secret(password="a"), Passwords(current="a", previous="b", until=NOW))
    for end in ("", "soon", "2026-03-01", "2026-03-01T00:00:00"):
        broken = {"data": {**written["data"], "previous-until": encoded(end)}}
        assert passwords_in(broken) == Passwords(current="a")


def test_two_passwords_at_most_are_accepted_in_an_order_that_telling_does_not_change() -> None:
    before = Passwords(current="b", next="a")
    assert before.accepted() == before.told(NOW).accepted() == ("a", "b")
    assert Passwords(current="a").accepted() == ("a",)
    assert len(Passwords(current="c", next="a", previous="b", until=NOW).accepted()) == 2
