# SPDX-License-Identifier: Apache-2.0
"""Commands against a cluster of dicts; the real one is in tests/integration/kubectl."""

import argparse
import json
from typing import Any

import pytest

from cais_kubectl.__main__ import COMMANDS, parser
from cais_kubectl.errors import USAGE, Failure
from support.fake_kubectl import (
    REGISTRIES,
    FakeApi,
    condition,
    registry,
    secret,
    session,
    stamp,
)

RUNS = {"lastRunTime": stamp(), "blobsDeleted": 3, "bytesReclaimed": 2048, "durationSeconds": 1.5}


def options(*words: str) -> argparse.Namespace:
    return parser().parse_args(words)


def run(api: FakeApi, *words: str, everywhere: bool = False) -> int:
    given = options(*words)
    return int(COMMANDS[given.command].run(given, session(api, everywhere=everywhere)))


def team(*conditions: dict[str, str], **more: Any) -> FakeApi:
    api = FakeApi()
    api.put(REGISTRIES, registry(*conditions, **more))
    return api


class Served(FakeApi):
    """Plays the operator: takes the annotation off, and ends the run one look later."""

    looks = 0
    ended: tuple[dict[str, str], ...] = ()
    told: dict[str, Any]

    def get(self, path: str) -> dict[str, Any]:
        found = super().get(path)
        if not self.sent or not path.endswith("/team"):
            return found
        self.looks += 1
        if self.looks == 1:
            asked = {"annotations": self.sent[0][2]["metadata"]["annotations"]}
            return {**found, "metadata": {**found["metadata"], **asked}}
        return registry(*self.ended, garbageCollection=self.told) if self.looks > 2 else found


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cais_kubectl.commands.gc._PAUSE", 0.001)


def served(**told: Any) -> Served:
    api = Served()
    api.put(REGISTRIES, registry())
    api.told = told
    return api


def test_gc_asks_by_the_annotation_and_does_not_wait(capsys: pytest.CaptureFixture[str]) -> None:
    api = team()
    assert run(api, "gc") == 0
    wanted = {"metadata": {"annotations": {"cais.dev/gc": "now"}}}
    assert api.sent == [("PATCH", f"{REGISTRIES}/team", wanted)]
    assert "--wait" in capsys.readouterr().err


def test_gc_waits_for_the_end_and_tells_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    api = served(**RUNS)
    assert run(api, "gc", "team", "--wait") == 0
    said = capsys.readouterr()
    assert "the operator has started it" in said.err
    assert "3 blobs deleted, 2.0 KiB given back, in 1.5 s" in said.out


def test_gc_tells_what_a_dry_run_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    dry = {"time": stamp(), "state": "Succeeded", "message": "would delete 5 blobs"}
    api = served(lastDryRun=dry)
    assert run(api, "gc", "--dry-run", "--wait") == 0
    assert api.sent[0][2]["metadata"]["annotations"] == {"cais.dev/gc": "dry-run"}
    assert capsys.readouterr().out == "done: would delete 5 blobs\n"


def test_gc_that_failed_is_told_and_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    api = served(**RUNS)
    ready = condition("Ready", "True", "Serving")
    api.ended = (ready, condition("GarbageCollected", "False", "Failed", "disk on fire"))
    assert run(api, "gc", "--wait", "-o", "json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["failed"]
    assert said["message"] == "disk on fire"


def test_gc_that_nobody_begins_or_ends_says_which_of_the_two() -> None:
    given = options("gc", "--wait")
    given.timeout = 0
    api = team()
    api.objects[f"{REGISTRIES}/team"]["metadata"]["annotations"] = {"cais.dev/gc": "now"}
    with pytest.raises(Failure, match="has not started it within"):
        COMMANDS["gc"].run(given, session(api))
    with pytest.raises(Failure, match="has not ended within"):
        COMMANDS["gc"].run(given, session(team()))


def test_gc_of_a_paused_registry_is_refused_and_nothing_is_changed() -> None:
    api = team(spec={"paused": True})
    with pytest.raises(Failure, match="paused"):
        run(api, "gc")
    assert api.sent == []


def test_status_of_one_tells_all_and_of_several_a_line_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = team()
    assert run(api, "status") == 0
    assert "OK      nothing is wrong" in capsys.readouterr().out
    bad = condition("Ready", "False", "ClaimPending", "no \x1b[31mvolume\nyet")
    api.put(REGISTRIES.replace("team-a", "team-b"), registry(bad, namespace="team-b"))
    assert run(api, "status", "-A", everywhere=True) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["team-a", "team", "True"],
        ["team-b", "team", "False"],
    ]
    assert "\x1b" not in "".join(lines)


def test_status_goes_on_where_pods_and_events_may_not_be_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = team(condition("Ready", "False", "InvalidSpec", "quota is odd"))
    api.hidden = ("/api/v1/",)
    assert run(api, "status", "-o", "json") == 1
    (said,) = json.loads(capsys.readouterr().out)
    assert said["reason"] == "InvalidSpec"
    assert said["findings"][0]["level"] == "problem"


def test_usage_shows_what_the_status_knows(capsys: pytest.CaptureFixture[str]) -> None:
    api = team(usage={"repositories": 2, "tags": 5, "bytes": 3 << 20, "observedTime": stamp()})
    assert run(api, "usage") == 0
    cells = capsys.readouterr().out.splitlines()[1].split()
    assert cells[:6] == ["team-a", "team", "2", "5", "3.0", "MiB"]


def test_a_registry_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(Failure, match="no Registry tame in namespace team-a; there: team") as told:
        run(team(), "status", "tame")
    assert told.value.code == 3


def test_one_of_several_has_to_be_named() -> None:
    api = team()
    api.put(REGISTRIES, registry(name="other"))
    with pytest.raises(Failure, match="name one: other, team") as told:
        run(api, "gc")
    assert told.value.code == USAGE
    with pytest.raises(Failure, match="no Registry in namespace"):
        run(FakeApi(), "gc")


@pytest.mark.parametrize(
    ("user", "name", "key"),
    [
        ("admin", "team-admin", "password"),
        ("pull", "team-pull", "password"),
        ("ci", "team-user-ci", "password"),
        ("alice", "mine", "pw"),
    ],
)
def test_login_prints_a_users_password_only_when_asked(
    user: str, name: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    users = [{"name": "ci"}, {"name": "alice", "passwordSecretRef": {"name": "mine", "key": "pw"}}]
    api = team(spec={"access": {"users": users}})
    api.objects[f"/api/v1/namespaces/team-a/secrets/{name}"] = secret(**{key: "s3cret"})
    given = ("login", "--print", "--login-as", user, "--via", "address")
    assert run(api, *given) == 0
    said = json.loads(capsys.readouterr().out)
    assert list(said["auths"]) == ["team.team-a.svc:5000"]


@pytest.mark.parametrize(
    ("change", "words", "code"),
    [
        ({"user": "bob"}, "has no user bob; its users are: admin, pull", USAGE),
        ({"hidden": ("/api/v1/namespaces/team-a/secrets",)}, "you may not read Secret", 3),
        ({}, "is not there", 3),
        ({"body": {"data": {}}}, "no usable key password", 3),
        ({"body": {"data": {"password": "!"}}}, "no usable key password", 3),
    ],
)
def test_a_login_that_cannot_be_says_why(change: dict[str, Any], words: str, code: int) -> None:
    api = team()
    api.hidden = change.get("hidden", ())
    if "body" in change:
        api.objects["/api/v1/namespaces/team-a/secrets/team-admin"] = change["body"]
    with pytest.raises(Failure, match=words) as told:
        run(api, "login", "--print", "--login-as", change.get("user", "admin"))
    assert told.value.code == code


def test_clients_that_do_not_trust_localhost_are_not_sent_there() -> None:
    with pytest.raises(Failure, match="does not trust a registry at localhost"):
        run(team(), "login", "--client", "podman")


def test_a_registry_without_an_address_yet_is_told() -> None:
    api = team(url="")
    api.objects["/api/v1/namespaces/team-a/secrets/team-admin"] = secret(password="x")
    with pytest.raises(Failure, match="has no address yet"):
        run(api, "ls", "--via", "address")


def test_doctor_names_what_is_missing_and_what_may_not_be_seen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = FakeApi(objects={"/version": {"gitVersion": "v1.37.2"}}, time=None)
    api.hidden = ("/apis/storage.k8s.io",)
    assert run(api, "doctor", "--no-dns") == 1
    said = capsys.readouterr().out
    for words in ("registries.cais.dev is missing", "no operator is installed", "not looked at"):
        assert words in said
    assert "helm upgrade --install" in said


@pytest.mark.parametrize(
    "words",
    [
        ["gc", "--timeout", "0"],
        ["login", "--port", "70000"],
        ["status", "-o", "xml"],
        ["ls", "--via", "pigeon"],
        ["login", "--print", "--print-ca"],
        ["stat"],
        [],
    ],
)
def test_a_wrong_command_line_asks_nobody_anything(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options(*words)
    assert ended.value.code == USAGE
