# SPDX-License-Identifier: Apache-2.0

import pytest

from cais_operator import errors
from support.issuing import fill, issued
from support.operator_bench import EVERYTHING, KEY, bench, children
from support.tls_bench import ASKED, HOST, ROOT, SERVICE, certificate, respec, served, words

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_cert_manager_is_asked_for_every_name_and_the_address() -> None:
    made = bench({**ASKED, "expose": {"hostnames": [HOST]}})
    outcome = await made.operator().reconcile(KEY)
    spec = certificate(made)["spec"]
    assert spec["dnsNames"] == [SERVICE, f"{SERVICE}.cluster.local", "team.team-a", HOST]
    assert spec["ipAddresses"] == ["10.96.0.7"]
    assert spec["privateKey"]["encoding"] == "PKCS8"
    assert spec["issuerRef"] == {"name": "ca", "kind": "Issuer", "group": "cert-manager.io"}
    assert outcome.references == ("team-certificate",)
    assert outcome.kinds == ("Certificate",)
    assert made.status()["certificate"] == {"certificateName": "team-certificate"}


async def test_an_issuer_of_public_names_is_asked_for_the_host_names_only() -> None:
    asked = {"issuerRef": {"name": "acme", "kind": "ClusterIssuer"}, "names": "Hostnames"}
    made = bench({"tls": {"certManager": asked}, "expose": {"hostnames": [HOST]}})
    await made.settle()
    assert certificate(made)["spec"]["dnsNames"] == [HOST]
    assert "ipAddresses" not in certificate(made)["spec"]
    made.cluster.put(fill(certificate(made), ROOT))
    await made.settle()
    assert words(made) == ("True", "Taken")


async def test_until_it_is_issued_the_words_of_cert_manager_are_told() -> None:
    made = bench(ASKED)
    await made.settle()
    ready = {"type": "Ready", "status": "False", "message": "the issuer ca does not exist"}
    made.cluster.change("Certificate", "team-certificate", status={"conditions": [ready]})
    await made.settle()
    assert words(made) == ("False", "SecretMissing")
    assert "yet: the issuer ca does not exist" in made.condition("CertificateReady")["message"]
    assert made.condition("Reconciling")
    made.cluster.put(fill(certificate(made), ROOT))
    await made.settle()
    assert words(made) == ("True", "Taken")
    assert served(made) == made.text("team-certificate", "tls.crt")


async def test_a_certificate_for_too_few_names_is_not_taken() -> None:
    made = bench(ASKED)
    await made.settle()
    few = fill(certificate(made), ROOT)
    made.cluster.put({**few, "data": issued(ROOT, SERVICE)})
    await made.settle()
    assert words(made) == ("False", "NamesMissing")
    assert "10.96.0.7" in made.condition("CertificateReady")["message"]


@pytest.mark.parametrize(
    ("failure", "reason", "stalls"),
    [
        (errors.NotFound("404 page not found"), "CertManagerMissing", True),
        (errors.ApiUnavailable("500: failed calling webhook"), "CertificateRefused", False),
        (
            errors.Rejected(status=403, reason="Forbidden", message="no right", subject="x"),
            "CertificateRefused",
            True,
        ),
    ],
)
async def test_what_cert_manager_cannot_do_stops_nothing_else(
    failure: errors.CaisError, reason: str, *, stalls: bool
) -> None:
    made = bench()
    await made.settle()
    before = served(made)
    del made.cluster.objects["Service", "team-a", "team"]
    respec(made, ASKED)

    def refuse(verb: str, kind: str, _: str) -> None:
        if (verb, kind) == ("apply", "Certificate"):
            raise failure

    made.cluster.before = refuse
    await made.settle()
    assert words(made) == ("False", reason)
    assert bool(made.condition("Stalled")) == stalls
    assert children(made) == EVERYTHING
    assert served(made) == before
    made.cluster.before = lambda *_: None
    await made.settle()
    made.cluster.put(fill(certificate(made), ROOT))
    await made.settle()
    assert words(made) == ("True", "Taken")


async def test_a_secret_of_someone_else_is_not_given_to_cert_manager() -> None:
    made = bench(ASKED)
    data = issued(ROOT, SERVICE)
    made.cluster.put({"kind": "Secret", "metadata": {"name": "team-certificate"}, "data": data})
    await made.settle()
    assert words(made) == ("False", "SecretTaken")
    assert ("Certificate", "team-a", "team-certificate") not in made.cluster.objects


async def test_the_request_is_taken_back_when_the_kind_changes() -> None:
    made = bench(ASKED)
    await made.settle()
    made.cluster.put(fill(certificate(made), ROOT))
    await made.settle()
    respec(made, {})
    await made.settle()
    assert ("Certificate", "team-a", "team-certificate") not in made.cluster.objects
    assert words(made) == ("True", "Issued")
    assert "certificateName" not in made.status()["certificate"]
