# SPDX-License-Identifier: Apache-2.0
"""Certificates that the operator does not sign itself, and none at all."""

import json
from datetime import timedelta
from typing import Any

import pytest

from operator_builders import NOW
from support.issuing import PKCS1, fill, issued, issuer, key_pem, new_key, tls_data
from support.operator_bench import EVERYTHING, KEY, Bench, bench, children
from support.tls_bench import (
    ASKED,
    HOST,
    ROOT,
    SERVICE,
    bring,
    certificate,
    published,
    respec,
    served,
    words,
)

pytestmark = pytest.mark.usefixtures("cheap_hashes")

OWN = {"tls": {"secretRef": {"name": "own"}}}
OUTSIDE = {**OWN, "expose": {"hostnames": [HOST]}}
PLAIN: dict[str, Any] = {"tls": {"disabled": {}}}
NEEDS_CERTIFICATE = {
    ("ConfigMap", "team-config"),
    ("ConfigMap", "team-ca"),
    ("Deployment", "team"),
    ("CronJob", "team-gc"),
    ("Secret", "team-tls"),
}


async def with_own(spec: dict[str, Any] = OWN, *covers: str) -> Bench:
    made = bench(spec)
    bring(made, issued(ROOT, *(covers or (SERVICE,)), form=PKCS1))
    await made.settle()
    return made


async def test_an_own_certificate_is_copied_in_the_form_that_the_server_reads() -> None:
    made = await with_own()
    assert children(made) == EVERYTHING | {("Secret", "own")}
    assert served(made) == made.text("own", "tls.crt")
    assert made.text("own", "tls.key").startswith("-----BEGIN EC PRIVATE KEY-----")
    assert made.text("team-tls", "tls.key").startswith("-----BEGIN PRIVATE KEY-----")
    assert published(made) == ROOT.certificate
    assert words(made) == ("True", "Taken")
    assert "renewAt" not in made.status()["certificate"]


@pytest.mark.parametrize("spec", [OWN, ASKED, PLAIN], ids=["own", "asked", "plain"])
async def test_a_look_at_what_is_settled_writes_nothing(spec: dict[str, Any]) -> None:
    made = bench(spec)
    bring(made, issued(ROOT, SERVICE))
    await made.settle()
    if spec is ASKED:
        made.cluster.put(fill(certificate(made), ROOT))
    await made.settle()
    made.cluster.requests.clear()
    await made.operator().reconcile(KEY)
    assert made.cluster.writes == []


async def test_no_server_is_started_before_there_is_a_certificate() -> None:
    made = bench(OWN)
    await made.settle()
    assert children(made) == EVERYTHING - NEEDS_CERTIFICATE
    assert words(made) == ("False", "SecretMissing")
    assert made.condition("Reconciling")
    assert not made.condition("Stalled")
    bring(made, issued(ROOT, SERVICE))
    await made.settle()
    assert children(made) == EVERYTHING | {("Secret", "own")}


async def test_the_secret_is_watched_by_its_name() -> None:
    made = bench(OWN)
    outcome = await made.operator().reconcile(KEY)
    assert (outcome.references, outcome.kinds) == (("own",), ())


async def test_a_bad_one_leaves_the_good_one_in_place_and_says_why() -> None:
    made = await with_own()
    before = served(made), published(made)
    bring(made, {**issued(ROOT, SERVICE), "tls.key": issued(ROOT, SERVICE)["tls.key"]})
    await made.settle()
    assert (served(made), published(made)) == before
    message = made.condition("CertificateReady")["message"]
    assert "Secret own: tls.key does not belong to the certificate in tls.crt" in message
    assert "served on; it ends 20" in message
    assert words(made, "Ready") == ("False", "KeyMismatch")
    assert words(made, "Stalled") == ("True", "KeyMismatch")
    assert children(made) == EVERYTHING | {("Secret", "own")}


async def test_a_bad_one_does_not_stop_the_repair_of_anything_else() -> None:
    made = await with_own()
    bring(made, {})
    for child in (("Service", "team"), ("Deployment", "team"), ("ConfigMap", "team-ca")):
        del made.cluster.objects[child[0], "team-a", child[1]]
    await made.settle()
    assert children(made) == EVERYTHING | {("Secret", "own")}
    assert published(made) == ROOT.certificate


async def test_a_repaired_one_is_taken() -> None:
    made = await with_own()
    bring(made, {})
    await made.settle()
    deployment = made.cluster.objects["Deployment", "team-a", "team"]
    other = issuer("other")
    bring(made, issued(other, SERVICE))
    await made.settle()
    assert served(made) == made.text("own", "tls.crt")
    assert published(made) == other.certificate
    assert words(made) == ("True", "Taken")
    assert not made.condition("Stalled")
    assert made.cluster.objects["Deployment", "team-a", "team"] == deployment  # no restart


async def test_it_is_looked_at_again_when_it_ends() -> None:
    made = bench(OWN)
    key, end = new_key(), NOW + timedelta(seconds=100)
    bring(made, tls_data(ROOT.sign(key, SERVICE, end=end), key_pem(key), ROOT.certificate))
    await made.settle()
    await made.serve()
    outcome = await made.operator().reconcile(KEY)
    assert words(made, "Ready") == ("True", "Serving")
    assert outcome.after == 100


async def test_one_that_clients_trust_already_publishes_nothing() -> None:
    made = bench(OWN)
    key, below = new_key(), ROOT.intermediate()
    bring(made, tls_data(below.sign(key, SERVICE) + below.chain, key_pem(key)))
    await made.settle()
    await made.serve()
    assert published(made) is None
    assert "caBundle" not in made.status()
    assert made.server.ways[-1].ca == served(made)  # the operator trusts what it has put there


async def test_a_certificate_for_host_names_only_is_reached_by_one_of_them() -> None:
    made = await with_own(OUTSIDE, HOST)
    await made.serve()
    assert made.server.ways[-1].name == HOST
    assert made.server.ways[-1].host == "10.96.0.7"
    assert made.status()["url"] == f"https://{HOST}:5000"
    job = made.cluster.objects["CronJob", "team-a", "team-gc"]["spec"]["jobTemplate"]
    pod = job["spec"]["template"]["spec"]
    assert pod["hostAliases"] == [{"ip": "10.96.0.7", "hostnames": [HOST]}]
    assert f"https://{HOST}:5000" in pod["containers"][0]["args"]
    assert pod["volumes"][0]["secret"]["items"] == [{"key": "trust.crt", "path": "ca.crt"}]


async def test_without_host_names_the_services_name_must_be_covered() -> None:
    made = await with_own(OWN, HOST)
    assert words(made) == ("False", "NamesMissing")
    assert f"does not cover {SERVICE}; it has {HOST}" in made.condition("Ready")["message"]


async def test_a_change_of_kind_keeps_the_old_certificate_until_the_new_one_is_there() -> None:
    made = bench()
    await made.settle()
    ours = served(made), published(made)
    respec(made, OWN)
    await made.settle()
    assert (served(made), published(made)) == ours
    bring(made, issued(ROOT, SERVICE))
    await made.settle()
    assert (served(made), published(made)) == (made.text("own", "tls.crt"), ROOT.certificate)
    respec(made, {})
    await made.settle()
    assert published(made) == ours[1]
    assert words(made) == ("True", "Issued")
    assert "trust.crt" not in made.cluster.objects["Secret", "team-a", "team-tls"]["data"]


async def test_a_server_whose_certificate_is_not_the_new_one_yet_is_hurried() -> None:
    made = await with_own()
    await made.serve()
    labels = {"app.kubernetes.io/instance": "team", "app.kubernetes.io/component": "registry"}
    labels["app.kubernetes.io/name"] = "cais-registry"
    made.cluster.put({"kind": "Pod", "metadata": {"name": "team-0", "labels": labels}})
    made.server.error = "its certificate is not accepted yet"
    await made.operator().reconcile(KEY)
    assert ("patch", "Pod", "team-0") in made.cluster.writes


async def test_without_tls_everything_speaks_plain_http() -> None:
    made = bench(PLAIN)
    await made.settle()
    await made.serve()
    assert children(made) == EVERYTHING - {("Secret", "team-tls"), ("ConfigMap", "team-ca")}
    objects = made.cluster.objects
    config = json.loads(objects["ConfigMap", "team-a", "team-config"]["data"]["server.yaml"])
    assert "tls" not in config
    container = objects["Deployment", "team-a", "team"]["spec"]["template"]["spec"]["containers"][0]
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    assert {container[probe]["httpGet"]["scheme"] for probe in probes} == {"HTTP"}
    job = objects["CronJob", "team-a", "team-gc"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    arguments = job["containers"][0]["args"]
    assert "http://team.team-a.svc:5000" in arguments
    assert "--ca-file" not in arguments
    assert made.server.ways[-1].ca is None
    assert made.status()["url"] == "http://team.team-a.svc:5000"
    assert "caBundle" not in made.status()
    assert "certificate" not in made.status()
    assert "team.team-a.svc:5000" in made.text("team-pull", ".dockerconfigjson")


async def test_passwords_in_clear_are_warned_of_and_leave_it_ready() -> None:
    made = bench(PLAIN)
    await made.settle()
    await made.serve()
    assert words(made) == ("False", "TlsDisabled")
    assert "in clear" in made.condition("CertificateReady")["message"]
    assert words(made, "Ready") == ("True", "Serving")
    told = [one for (kind, _, _), one in made.cluster.objects.items() if kind == "Event"]
    (warning,) = [one for one in told if one["type"] == "Warning"]
    assert "in clear" in warning["message"]


async def test_tls_that_cannot_begin_yet_leaves_plain_http_as_it_is() -> None:
    made = bench(PLAIN)
    await made.settle()
    before = made.cluster.objects["ConfigMap", "team-a", "team-config"]
    respec(made, OWN)
    await made.settle()
    assert made.cluster.objects["ConfigMap", "team-a", "team-config"] == before
    bring(made, issued(ROOT, SERVICE))
    await made.settle()
    assert made.cluster.objects["ConfigMap", "team-a", "team-config"] != before
    assert published(made) == ROOT.certificate
    respec(made, PLAIN)
    await made.settle()
    assert published(made) is None
