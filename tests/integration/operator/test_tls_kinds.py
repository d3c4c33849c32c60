# SPDX-License-Identifier: Apache-2.0
"""The real operator, a real API server, and certificates that the operator does not sign."""

from pathlib import Path
from typing import Any

from support.apiserver import wait_for
from support.definitions import served
from support.foreign_kinds import CERTIFICATE
from support.issuing import PKCS1, fill, issued, issuer
from support.operators import Place, operator

CERTIFICATES = "/apis/cert-manager.io/v1/namespaces/{}/certificates"
NAME = "team-certificate"
ROOT = issuer()


def put_secret(place: Place, body: dict[str, Any]) -> None:
    """Create a Secret, or replace its contents."""
    body = {"type": "kubernetes.io/tls", **body}
    if place.get("Secret", body["metadata"]["name"]) is None:
        place.api.request("POST", place.path("Secret"), body)
    else:
        path = place.path("Secret", body["metadata"]["name"])
        place.api.merge(path, {"data": body["data"]})


def own(place: Place, data: dict[str, str]) -> None:
    put_secret(place, {"metadata": {"name": "own"}, "data": data})


def wait_served(place: Place, secret: str) -> None:
    def is_copied() -> bool:
        if place.get("Secret", "team-tls") is None:
            return False
        return place.secret("team-tls", "tls.crt") == place.secret(secret, "tls.crt")

    wait_for(is_copied, f"the certificate of {secret} is served")


def wait_reason(place: Place, reason: str) -> dict[str, Any]:
    wait_for(
        lambda: place.condition("CertificateReady").get("reason") == reason,
        f"CertificateReady says {reason}",
    )
    return place.condition("CertificateReady")


def certificate(place: Place) -> dict[str, Any] | None:
    return place.api.find(f"{CERTIFICATES.format(place.team)}/{NAME}")


def respec(place: Place, tls: dict[str, Any]) -> None:
    """What a client does that knows nothing of what was there before."""
    body = {"apiVersion": "cais.dev/v1alpha1", "kind": "Registry", "spec": {"tls": tls}}
    body["metadata"] = {"name": "team", "namespace": place.team}
    place.api.apply(place.path("Registry", "team"), body)


def apply_registry(place: Place, tls: dict[str, Any]) -> None:
    respec(place, tls)


def test_an_own_certificate_is_taken_when_it_comes_kept_while_it_is_bad_and_taken_again(
    place: Place, tmp_path: Path
) -> None:
    host = f"team.{place.team}.svc"
    with operator(place, tmp_path) as running:
        apply_registry(place, {"secretRef": {"name": "own"}})
        wait_reason(place, "SecretMissing")
        assert place.get("Deployment", "team") is None
        own(place, issued(ROOT, host, form=PKCS1))
        wait_served(place, "own")
        place.wait_complete()
        before = place.secret("team-tls", "tls.crt")
        key = place.secret("team-tls", "tls.key")
        assert key.startswith("-----BEGIN PRIVATE KEY-----")
        own(place, issued(ROOT, "elsewhere.example.com"))
        message = wait_reason(place, "NamesMissing")["message"]
        assert f"Secret own: tls.crt does not cover {host}" in message
        assert place.condition("Stalled")["reason"] == "NamesMissing"
        assert place.secret("team-tls", "tls.crt") == before
        own(place, issued(ROOT, host))
        wait_served(place, "own")
        wait_reason(place, "Taken")
        assert place.secret("team-tls", "tls.crt") != before
        assert running.process.poll() is None


def test_an_empty_registry_changes_its_kind_without_losing_its_certificate(
    place: Place, tmp_path: Path
) -> None:
    with operator(place, tmp_path):
        apply_registry(place, {})
        place.wait_complete()
        ours = place.secret("team-tls", "tls.crt")
        respec(place, {"secretRef": {"name": "own"}})
        wait_reason(place, "SecretMissing")
        assert place.secret("team-tls", "tls.crt") == ours
        own(place, issued(ROOT, f"team.{place.team}.svc"))
        wait_served(place, "own")
        respec(place, {"disabled": {}})
        wait_for(lambda: place.get("ConfigMap", "team-ca") is None, "no CA is published")
        assert wait_reason(place, "TlsDisabled")["status"] == "False"
        assert place.get("Registry", "team")["status"]["url"].startswith("http://")  # type: ignore[index]
        respec(place, {"issued": {"validity": "24h", "renewBefore": "1h"}})
        wait_reason(place, "Issued")
        wait_for(lambda: place.get("ConfigMap", "team-ca"), "the CA is published again")


def test_cert_manager_is_waited_for_asked_and_asked_again(place: Place, tmp_path: Path) -> None:
    asked = {"certManager": {"issuerRef": {"name": "internal", "kind": "ClusterIssuer"}}}
    with operator(place, tmp_path) as running:
        apply_registry(place, asked)
        wait_reason(place, "CertManagerMissing")
        assert place.condition("Stalled")["reason"] == "CertManagerMissing"
        with served(place.api, CERTIFICATE):
            found = wait_for(lambda: certificate(place), "the Certificate")
            wait_reason(place, "SecretMissing")
            put_secret(place, fill(found, ROOT))
            wait_served(place, NAME)
            place.wait_complete()
            wait_reason(place, "Taken")
            place.wait_looked_again(2)
            writes = place.writes()
            place.wait_looked_again(2)
            assert place.writes() == writes  # nothing to do, nothing written
            place.api.request("DELETE", f"{CERTIFICATES.format(place.team)}/{NAME}")
            again = wait_for(lambda: certificate(place), "the Certificate is back")
            put_secret(place, fill(again, issuer("a new one")))
            wait_served(place, NAME)
            respec(place, {})
            wait_for(lambda: certificate(place) is None, "the Certificate is taken back")
            wait_reason(place, "Issued")
        assert running.process.poll() is None
