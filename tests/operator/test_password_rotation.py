# SPDX-License-Identifier: Apache-2.0
"""New passwords by annotation: two that work meanwhile, never more than one new, nothing lost."""

import base64
import copy
import json
from datetime import timedelta

import pytest

from cais_operator import names
from support.fake_cluster import Crash
from support.operator_bench import KEY, Bench
from support.password_bench import SECRETS, SPEC, annotate, annotations, data, lets_in, ready

pytestmark = pytest.mark.usefixtures("cheap_hashes")


def events(made: Bench, reason: str) -> list[str]:
    found = [one for (kind, _, _), one in made.cluster.objects.items() if kind == "Event"]
    return [one["message"] for one in found if one["reason"] == reason]


async def rotate(made: Bench, users: str) -> None:
    """Go all the way, with a server that loads at once."""
    annotate(made, users)
    for _ in range(3):
        await made.operator().reconcile(KEY)
        made.load()


@pytest.mark.parametrize("user", SECRETS)
async def test_a_new_password_is_told_only_when_the_server_knows_it(user: str) -> None:
    made = await ready()
    old = made.text(SECRETS[user])
    annotate(made, user)
    for _ in range(3):  # the server has not loaded the new file yet
        await made.operator().reconcile(KEY)
        assert made.text(SECRETS[user]) == old
        new = made.text(SECRETS[user], "next-password")
        assert lets_in(made, user, old)
        assert lets_in(made, user, new)
        assert annotations(made) == {"theirs": "x"}
    made.load()
    file = made.text("team-users", "htpasswd")
    await made.operator().reconcile(KEY)
    assert made.text(SECRETS[user]) == new != old
    assert made.text("team-users", "htpasswd") == file  # nothing to be loaded again
    assert lets_in(made, user, old)
    (told,) = events(made, "PasswordRotated")
    assert told == f"Secret {SECRETS[user]} has a new password; the old one works until {END}"


END = "2026-03-02T12:00:00Z"  # a day after NOW


async def test_the_old_password_ends_at_its_time_and_the_operator_looks_then() -> None:
    made = await ready()
    old = made.text("team-user-ci")
    await rotate(made, "ci")
    outcome = await made.operator().reconcile(KEY)
    assert outcome.after is not None
    (told,) = made.status()["rotations"]
    assert (told["user"], told["oldPasswordUntil"]) == ("ci", END)
    made.now += timedelta(hours=24) - timedelta(seconds=9)
    outcome = await made.operator().reconcile(KEY)
    assert lets_in(made, "ci", old)
    assert outcome.after == 9.0
    made.now += timedelta(seconds=9)
    await made.operator().reconcile(KEY)
    assert not lets_in(made, "ci", old)
    assert lets_in(made, "ci", made.text("team-user-ci"))
    assert set(data(made, "team-user-ci")) == {"username", "password"}
    assert "rotations" not in made.status()


async def test_the_overlap_can_be_chosen() -> None:
    made = await ready({"access": {**SPEC["access"], "rotationOverlap": "0s"}})
    old = made.text("team-user-ci")
    await rotate(made, "ci")
    assert made.text("team-user-ci") != old
    assert not lets_in(made, "ci", old)
    assert events(made, "PasswordRotated") == ["user ci has a new password, and only that"]


async def test_the_pull_secret_tells_clients_the_new_password_in_every_form() -> None:
    made = await ready()
    old = made.text("team-pull")
    await rotate(made, "pull, admin ,ci,cais-gc")
    new = made.text("team-pull")
    auths = json.loads(made.text("team-pull", ".dockerconfigjson"))["auths"].values()
    assert {one["password"] for one in auths} == {new}
    assert {base64.b64decode(one["auth"]).decode() for one in auths} == {f"pull:{new}"}
    assert new != old
    assert made.text("team-gc", "credentials") == "cais-gc:" + made.text("team-gc")
    assert [one["user"] for one in made.status()["rotations"]] == sorted(SECRETS)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("bob", "'bob' is no user of this Registry; known are admin, cais-gc, ci, pull"),
        ("", "'' is no user"),
        ("ci,bob", "'bob' is no user"),
        ("alice", "the password of alice is yours: change it in Secret hers"),
        ("x" * 200, "'" + "x" * 63 + "' is no user"),
    ],
)
async def test_a_wish_that_cannot_be_done_is_refused_in_words_and_changes_nothing(
    asked: str, says: str
) -> None:
    made = await ready()
    before = {key: one["data"] for key, one in made.cluster.objects.items() if key[0] == "Secret"}
    await rotate(made, asked)
    (told,) = events(made, "AnnotationInvalid")
    assert told.startswith(f"annotation cais.dev/rotate: {says}")
    assert told.endswith("nothing was changed")
    assert annotations(made) == {"theirs": "x"}
    after = {key: one["data"] for key, one in made.cluster.objects.items() if key[0] == "Secret"}
    assert after == before


async def test_a_second_wish_does_not_end_an_old_password_before_its_time() -> None:
    made = await ready()
    old = made.text("team-user-ci")
    await rotate(made, "ci")
    new = made.text("team-user-ci")
    await rotate(made, "ci")
    assert made.text("team-user-ci") == new
    assert lets_in(made, "ci", old)
    (told,) = events(made, "AnnotationInvalid")
    assert f"the old one works until {END}" in told
    assert "delete Secret team-user-ci" in told
    made.now += timedelta(days=2)
    await rotate(made, "ci")
    assert made.text("team-user-ci") != new


async def test_a_deleted_secret_ends_every_old_password_at_once() -> None:
    made = await ready()
    old = made.text("team-user-ci")
    await rotate(made, "ci")
    new = made.text("team-user-ci")
    del made.cluster.objects["Secret", "team-a", "team-user-ci"]
    await made.operator().reconcile(KEY)
    assert not lets_in(made, "ci", old)
    assert not lets_in(made, "ci", new)
    assert lets_in(made, "ci", made.text("team-user-ci"))


async def test_a_paused_registry_keeps_the_wish_for_later() -> None:
    made = await ready()
    live = made.cluster.objects[names.KIND, "team-a", "team"]
    live["spec"] = {**live["spec"], "paused": True}
    annotate(made, "ci")
    await made.operator().reconcile(KEY)
    assert annotations(made)[names.ROTATE] == "ci"
    assert "next-password" not in data(made, "team-user-ci")


async def test_no_password_is_in_status_or_events() -> None:
    made = await ready()
    annotate(made, "ci,pull")
    for _ in range(4):
        await made.operator().reconcile(KEY)
        told = json.dumps(
            [one for key, one in made.cluster.objects.items() if key[0] in ("Event", names.KIND)]
        )
        for name in ("team-user-ci", "team-pull"):
            for key in ("password", "next-password", "previous-password"):
                if key in data(made, name):
                    assert made.text(name, key) not in told
        made.load()


class Killer:
    """Kills the operator before or after one write; notes every password on the way.

    At a request that only reads is the same as before the write that follows.
    """

    def __init__(self, made: Bench, stop: int, *, is_after: bool) -> None:
        self.made = made
        self.stop = stop
        self.at = 0
        self.seen: set[str] = set()
        made.cluster.after = self._after
        made.cluster.before = self._before
        self.is_after = is_after

    def _before(self, verb: str, *_: str) -> None:
        if not self.is_after and verb not in {"get", "list"}:
            self._kill()

    def _kill(self) -> None:
        self.at += 1
        if self.at == self.stop:
            raise Crash

    def _after(self, *_: str) -> None:
        self.note()
        if self.is_after:
            self._kill()

    def note(self) -> None:
        found = data(self.made, "team-user-ci")
        self.seen |= {found[key] for key in ("password", "next-password") if key in found}


@pytest.mark.parametrize(("is_after", "least"), [(False, 7), (True, 7)])
async def test_killed_at_any_write_a_rotation_ends_with_one_new_password(
    least: int, *, is_after: bool
) -> None:
    stop, crashes = 0, 0
    prepared = await ready()
    while crashes == stop:
        stop += 1
        made = copy.deepcopy(prepared)
        killer = Killer(made, stop, is_after=is_after)
        annotate(made, "ci")
        for _ in range(6):
            try:
                await made.operator().reconcile(KEY)
            except Crash:
                crashes += 1
            killer.note()
            made.load()
        assert len(killer.seen) == 2, stop  # the one that was, and one new one
        assert annotations(made) == {"theirs": "x"}
        assert set(data(made, "team-user-ci")) >= {"previous-password", "previous-until"}
        old = made.text("team-user-ci", "previous-password")
        assert lets_in(made, "ci", old)
        assert lets_in(made, "ci", made.text("team-user-ci"))
    assert stop > least  # every write was met
