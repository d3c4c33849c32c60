# SPDX-License-Identifier: Apache-2.0
"""Clusters that are not made as most are: an API server behind a proxy, another DNS domain."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from support.api_certificates import ELSEWHERE
from support.apiserver import wait_for
from support.operators import Place, operator
from support.tunnel import tunnel

ONE_LINE = 400  # characters


def kubeconfig_by_name(place: Place, folder: Path, port: int) -> Path:
    """The admin's kubeconfig, with a name for the API server that only a proxy knows."""
    config = json.loads(place.api.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://{ELSEWHERE}:{port}"
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


def test_all_that_the_operator_asks_and_watches_goes_through_the_proxy(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = urlsplit(place.api.url).port or 0
    path = kubeconfig_by_name(place, tmp_path, port)
    with tunnel({f"{ELSEWHERE}:{port}": port}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1,.svc")
        with operator(place, tmp_path, f"--kubeconfig={path}") as running:
            place.create_registry()
            place.wait_complete()
            assert running.fetch("/readyz") == (200, "ok\n")
            place.delete("Secret", "team-tls")
            wait_for(lambda: place.get("Secret", "team-tls"), "a deleted child is back")
    assert set(proxy.asked) == {f"{ELSEWHERE}:{port}"}


def test_a_proxy_that_does_not_let_it_through_is_told_in_the_log(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kubeconfig_by_name(place, tmp_path, 6443)
    with tunnel({}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with operator(place, tmp_path, f"--kubeconfig={path}") as running:

            def told() -> str:
                lines = running.log.read_text().splitlines()
                return next((line for line in lines if "Forbidden" in line), "")

            line = json.loads(wait_for(told, "the log tells of it"))
            assert running.process.poll() is None  # it tries again
    assert "the API server cannot be reached" in line["message"]
    assert len(line["message"]) < ONE_LINE


def test_certificates_are_for_the_names_of_the_clusters_domain(
    place: Place, tmp_path: Path
) -> None:
    with operator(place, tmp_path, "--cluster-domain=corp.example"):
        place.create_registry()
        place.wait_complete()
    leaf = x509.load_pem_x509_certificate(place.secret("team-tls", "tls.crt").encode())
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = set(found.get_values_for_type(x509.DNSName))
    assert {f"team.{place.team}.svc", f"team.{place.team}.svc.corp.example"} <= names
    assert not any(name.endswith("cluster.local") for name in names)
