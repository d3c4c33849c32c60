# SPDX-License-Identifier: Apache-2.0
"""How long a token of the registry is good, also one that was verified before."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cais_registry.http.bearer import Bearer
from cais_registry.http.grants import Access
from cais_registry.http.tokens import Terms, Tokens
from cais_registry.model.errors import Unauthorized
from cais_registry.model.names import RepoName
from cais_registry.services.access import Action
from support.tokens import Key, claims_of

ONE, TWO = Key(), Key()
TERMS = Terms(service="s", seconds=300, realms={})
ACCESS = [Access("repository", "a", ("pull",))]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def made(*keys: Key, clock: Clock, terms: Terms = TERMS) -> Tokens:
    return Tokens(terms, [key.pem for key in keys], clock=clock)


def issued(tokens: Tokens, user: str | None = "ci", until: float | None = None) -> str:
    return tokens.issue(user, ACCESS, until=until).text


def test_a_token_says_of_whom_it_is_and_what_it_is_good_for() -> None:
    tokens = made(ONE, clock=Clock())
    found = tokens.verify(issued(tokens))
    assert found.user == "ci"
    assert found.grant is not None
    assert found.grant.covers(Action.PULL, RepoName("a"))
    assert not found.grant.covers(Action.PUSH, RepoName("a"))
    assert not found.grant.covers(Action.PULL, RepoName("b"))
    assert not found.grant.covers(Action.ADMIN, None)
    assert tokens.verify(issued(tokens, user=None)).user is None


def test_a_remembered_token_ends_at_its_second() -> None:
    clock = Clock()
    tokens = made(ONE, clock=clock)
    bearer, text = Bearer({"s": tokens}, clock=clock), issued(tokens)
    for _ in range(3):
        bearer.verify(text)
    clock.now += 299
    bearer.verify(text)
    assert bearer.outcomes == {"success": 1}
    clock.now += 1
    for _ in range(2):
        with pytest.raises(Unauthorized, match="expired"):
            bearer.verify(text)


def test_other_keys_end_a_remembered_token_and_kept_ones_do_not() -> None:
    clock = Clock()
    tokens = made(ONE, clock=clock)
    bearer, text = Bearer({"s": tokens}, clock=clock), issued(tokens)
    bearer.verify(text)
    bearer.replace({"s": made(TWO, ONE, clock=clock)})
    bearer.verify(text)
    bearer.replace({"s": made(TWO, clock=clock)})
    with pytest.raises(Unauthorized, match="not signed by this registry"):
        bearer.verify(text)


def test_the_first_key_signs() -> None:
    clock = Clock()
    text = issued(made(TWO, ONE, clock=clock))
    assert made(TWO, clock=clock).verify(text).user == "ci"
    with pytest.raises(Unauthorized):
        made(ONE, clock=clock).verify(text)


def test_a_token_of_another_service_is_refused_though_the_key_is_the_same() -> None:
    clock = Clock()
    other = made(ONE, clock=clock, terms=Terms(service="other", seconds=300, realms={}))
    with pytest.raises(Unauthorized, match="not for this registry"):
        made(ONE, clock=clock).verify(issued(other))


def test_no_token_is_good_for_longer_than_the_login_that_it_was_had_with() -> None:
    clock = Clock()
    tokens = made(ONE, clock=clock)
    short = tokens.issue("ci", ACCESS, until=clock.now + 30.9)
    assert (short.seconds, claims_of(short.text)["exp"]) == (30, clock.now + 30)
    assert tokens.issue("ci", ACCESS, until=clock.now + 9999).seconds == 300


def test_a_server_without_tokens_does_not_load_what_signs_them() -> None:
    code = (
        "import sys; import cais_registry.app.worker, cais_registry.app.supervisor; "
        "sys.exit(any(name in sys.modules for name in ('joserfc', 'cryptography')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
