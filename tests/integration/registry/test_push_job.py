# SPDX-License-Identifier: Apache-2.0
"""The script of the sample Job pushes to a real server, with a token that is its only login."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from support.issuer import AUDIENCE, ISSUER, claims, published, rsa, token
from support.registry import Server, htpasswd, make_certificate, running

SAMPLE = Path(__file__).parents[3] / "manifests/samples/push-job.yaml"


def documents() -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in yaml.safe_load_all(SAMPLE.read_text())}


def push(server: Server, folder: Path, said: str) -> subprocess.CompletedProcess[str]:
    """Run what the container runs, with this machine's files."""
    (folder / "token").write_text(said)
    (container,) = documents()["Job"]["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one["value"] for one in container["env"]}
    given |= {
        "REGISTRY": server.url.removeprefix("https://"),
        "TOKEN_FILE": str(folder / "token"),
        "CA_FILE": str(folder / "server.crt"),
    }
    return subprocess.run(
        [sys.executable, *container["command"][1:], *container["args"]],
        env=os.environ | given,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_the_sample_job_pushes_with_its_token_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(htpasswd(admin="a"))
    (tmp_path / "keys").write_bytes(published(rsa()))
    cert, key = make_certificate(tmp_path)
    (rule,) = documents()["Registry"]["spec"]["access"]["rules"]
    (account,) = rule.pop("serviceAccounts")
    subject = f"system:serviceaccount:{account['namespace']}:{account['name']}"
    issuer = {"issuer": ISSUER, "kind": "kubernetes", "jwksFile": str(tmp_path / "keys")}
    admin = {"users": ["admin"], "repositories": ["**"], "actions": ["pull"]}
    config = {
        "auth": {"htpasswdFile": str(tmp_path / "users")},
        "access": {
            "issuers": [{**issuer, "audiences": [AUDIENCE]}],
            "rules": [{**rule, "identities": [subject]}, admin],
        },
    }
    with running(
        tmp_path, "--tls-cert", cert, "--tls-key", key, config=config, login="admin:a"
    ) as server:
        done = push(server, tmp_path, token(claims(sub=subject)))
        assert done.returncode == 0, done.stderr
        pulled = server.ask("GET", "/v2/apps/hello/manifests/1")
        assert pulled["Docker-Content-Digest"] == done.stdout.strip()
        refused = push(server, tmp_path, token(claims(sub=f"{subject}-of-others")))
        assert refused.returncode == 1
        assert "403" in refused.stderr


def test_the_token_of_the_sample_is_for_its_registry() -> None:
    found = documents()
    metadata, pod = found["Registry"]["metadata"], found["Job"]["spec"]["template"]["spec"]
    host = f"{metadata['name']}.{metadata['namespace']}.svc:5000"
    ((volume),) = pod["volumes"]
    audience = volume["projected"]["sources"][0]["serviceAccountToken"]["audience"]
    given = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert (audience, given["REGISTRY"]) == (f"https://{host}", host)
    assert pod["serviceAccountName"] == found["ServiceAccount"]["metadata"]["name"]
