# SPDX-License-Identifier: Apache-2.0
import json
from typing import Any

import pytest

from cais_operator import backend, database_url, desired, pki, plan, rollout
from cais_operator.observed import Live, Observed
from operator_builders import SETTINGS, authority, encoded, registry
from support.crd_storage_cases import bucket
from support.operator_bench import Bench
from support.operator_bench import bench as bench_of

URL = "postgresql://registry:s3cr3t@db.example.com/registry"
KEYS: Live = {
    "metadata": {"name": "keys"},
    "data": {"AWS_ACCESS_KEY_ID": encoded("AKIA1"), "AWS_SECRET_ACCESS_KEY": encoded("s3cr3t\n")},
}


def _database(url: str = URL) -> Live:
    return {"metadata": {"name": "database"}, "data": {"uri": encoded(url)}}


def _problems(spec: dict[str, Any], **references: Live | None) -> list[tuple[str, object, str]]:
    observed = Observed(references=references)
    return [(one.field, one.value, one.rule) for one in plan.problems(registry(spec), observed)]


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:p@h/db",
        "postgres://u:p%40@h:6432/db?sslmode=require",
        "postgresql://u:a/b@h1:1,h2/db",
        "postgresql:///db?host=h&port=77",
        "postgresql://u@[::1]:99/db?options=-csearch_path%3Da",
        r"host=h password='a b\' c' dbname=x",
        "host=a,b port=1,2 target_session_attrs=read-write",
        "hostaddr = 10.0.0.1",
    ],
)
def test_addresses_of_a_database_are_taken(text: str) -> None:
    database_url.check(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "one line"),
        ("postgresql://h/" + "x" * 4096, "at most 4096"),
        ("postgresql://u:s3cr3t@h/db\nx", "one line"),
        ("mysql://u:s3cr3t@h/db", "must begin with postgresql://"),
        ("postgresql://u:s3cr3t@[::1/db", "must be a URL"),
        ("postgresql:///db?user=s3cr3t", "must name a host"),
        ("postgresql://u:s3cr3t@h:0/db", "a port from 1 to 65535"),
        ("host=h port=65536 password=s3cr3t", "a port from 1 to 65535"),
        ("host=/run/postgresql password=s3cr3t", "must name a host"),
        ("host=h password='s3cr3t", "pairs of KEY=VALUE"),
        ("s3cr3t", "pairs of KEY=VALUE"),
    ],
)
def test_other_texts_are_refused_without_repeating_them(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        database_url.check(text)
    assert "s3cr3t" not in str(caught.value)


def test_what_is_good_is_no_problem_and_goes_into_files_without_the_newline() -> None:
    spec = bucket(caSecretRef={"name": "ca"})
    trusted = {"data": {"ca.crt": encoded(authority().certificate)}}
    references: dict[str, Live | None] = {"keys": KEYS, "database": _database(), "ca": trusted}
    assert _problems(spec, **references) == []
    assert backend.given(registry(spec), references) == {
        "access-key-id": "AKIA1",
        "secret-access-key": "s3cr3t",
        "ca.crt": authority().certificate.strip(),
        "database-url": URL,
    }
    assert backend.given(registry(), references) == {}


@pytest.mark.parametrize(
    ("references", "field", "value", "words"),
    [
        ({"keys": None}, "spec.storage.s3.secretRef.name", "keys", "no such Secret"),
        (
            {"keys": {"data": {"AWS_ACCESS_KEY_ID": encoded("a")}}},
            "spec.storage.s3.secretRef.secretAccessKey",
            "AWS_SECRET_ACCESS_KEY",
            "Secret keys has no such key",
        ),
        (
            {"keys": {"data": {**KEYS["data"], "AWS_SECRET_ACCESS_KEY": encoded("s3cr3t two")}}},
            "spec.storage.s3.secretRef.secretAccessKey",
            "AWS_SECRET_ACCESS_KEY",
            "what Secret keys holds there must be 1 to 1024 letters",
        ),
        (
            {"keys": {"data": {**KEYS["data"], "AWS_ACCESS_KEY_ID": "/w=="}}},
            "spec.storage.s3.secretRef.accessKeyId",
            "AWS_ACCESS_KEY_ID",
            "letters, digits and signs",
        ),
        ({"ca": None}, "spec.storage.s3.caSecretRef.name", "ca", "no such Secret"),
        (
            {"ca": {"data": {"ca.crt": encoded("s3cr3t")}}},
            "spec.storage.s3.caSecretRef.key",
            "ca.crt",
            "must be certificates in PEM",
        ),
        ({"database": None}, "spec.database.secretRef.name", "database", "no such Secret"),
        (
            {"database": _database("mysql://u:s3cr3t@h/db")},
            "spec.database.secretRef.key",
            "uri",
            "what Secret database holds there must begin with postgresql://",
        ),
    ],
)
def test_what_lacks_is_named_with_its_place_and_nothing_of_its_content(
    references: dict[str, Live | None], field: str, value: object, words: str
) -> None:
    trusted = {"data": {"ca.crt": encoded(authority().certificate)}}
    good: dict[str, Live | None] = {"keys": KEYS, "database": _database(), "ca": trusted}
    found = _problems(bucket(caSecretRef={"name": "ca"}), **{**good, **references})
    assert [one[:2] for one in found] == [(field, value)]
    assert words in found[0][2]
    assert "s3cr3t" not in str(found)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({**bucket(), "storage": {**bucket()["storage"], "volume": {}}}, "spec.storage"),
        ({"storage": bucket()["storage"]}, "spec.database"),
        ({"database": bucket()["database"]}, "spec.database"),
        ({"pod": {"replicas": 2}}, "spec.pod.replicas"),
    ],
)
def test_what_the_crd_refuses_is_refused_again(spec: dict[str, Any], field: str) -> None:
    found = _problems(spec, keys=KEYS, database=_database())
    assert [one[0] for one in found] == [field]


def test_another_content_is_another_revision_and_the_same_is_the_same() -> None:
    given = {"database-url": URL, "access-key-id": "a"}
    mark = pki.new_revision()
    copy = desired.backend_secret(registry(bucket()), SETTINGS, given, mark)
    assert backend.revision(copy, given) == backend.revision_in(copy) == mark
    assert backend.revision(copy, {**given, "access-key-id": "b"}) is None
    assert backend.revision(copy, {"database-url": URL}) is None
    assert (backend.revision(None, given), backend.revision_in(None)) == (None, "")
    damaged = {"data": {**copy["data"], "access-key-id": "%"}}
    assert backend.revision(damaged, given) is None


@pytest.mark.parametrize("text", ["", "x", "r1\n", "A" * 16, "a" * 17, "a" * (1 << 19)])
def test_a_revision_of_somebody_else_never_gets_into_the_pods(text: str) -> None:
    given = {"database-url": URL, "access-key-id": "a"}
    copy = desired.backend_secret(registry(bucket()), SETTINGS, given, text)
    assert backend.revision(copy, given) is None


def test_other_keys_and_another_bucket_are_asked_for_and_wait_for_no_turn() -> None:
    asked = rollout.asked(registry(bucket()), "r1")
    assert asked == rollout.asked(registry(bucket(redirect=False)), "r1")
    others = (rollout.asked(registry(bucket()), "r2"), rollout.asked(registry(bucket(region="x"))))
    assert asked not in others
    copy = desired.backend_secret(registry(bucket()), SETTINGS, {"a": "b"}, "r1")
    assert backend.mounted(desired.deployment(registry(bucket()), SETTINGS, copy)) == "r1"
    assert backend.mounted(desired.deployment(registry(), SETTINGS)) == ""


def test_servers_that_follow_each_other_are_available_when_all_are_new() -> None:
    status = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
    deployment: dict[str, Any] = {"metadata": {"generation": 1}, "status": status}
    assert rollout.is_available(deployment)
    deployment["status"] = {**status, "replicas": 4, "updatedReplicas": 1}
    assert not rollout.is_available(deployment)


def _bench(spec: dict[str, Any]) -> Bench:
    made = bench_of(spec)
    for secret in (KEYS, _database()):
        metadata = {**secret["metadata"], "namespace": "team-a"}
        made.cluster.put({"apiVersion": "v1", "kind": "Secret", **secret, "metadata": metadata})
    return made


async def test_servers_over_a_bucket_mount_a_copy_and_no_secret_shows_anywhere_else() -> None:
    made = _bench(bucket(replicas=2))
    await made.settle()
    objects = made.cluster.objects
    assert made.text("team-backend", "database-url") == URL
    assert ("PersistentVolumeClaim", "team-a", "team-data") not in objects
    pods = objects["Deployment", "team-a", "team"]["spec"]
    assert (pods["replicas"], pods["strategy"]["type"]) == (2, "RollingUpdate")
    config = json.loads(made.written()["server.yaml"])
    assert config["storage"]["s3"]["prefix"] == "team-a/team"
    others = [one for key, one in objects.items() if key[0] != "Secret"]
    for secret in ("s3cr3t", "AKIA1", encoded("s3cr3t"), "db.example.com"):
        assert secret not in json.dumps(others)
    assert made.status()["storage"] == {"bucket": "images/team-a/team"}
    assert made.condition("StorageReady")["reason"] == "NoServer"


async def test_a_changed_key_replaces_the_pods_and_a_lost_one_leaves_them() -> None:
    made = _bench(bucket())
    await made.settle()

    def revision() -> str:
        template = made.cluster.objects["Deployment", "team-a", "team"]["spec"]["template"]
        found: str = template["metadata"]["annotations"]["cais.dev/backend"]
        return found

    before = revision()
    await made.settle()
    assert revision() == before
    made.cluster.change("Secret", "database", data={"uri": encoded(URL + "?sslmode=require")})
    await made.settle()
    after = revision()
    assert after != before
    del made.cluster.objects["Secret", "team-a", "keys"]
    await made.settle()
    assert made.condition("Stalled")["message"] == (
        'spec.storage.s3.secretRef.name is "keys": there is no such Secret in this namespace: '
        "create it"
    )
    assert revision() == after
    assert made.text("team-backend", "access-key-id") == "AKIA1"
