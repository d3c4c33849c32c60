# SPDX-License-Identifier: Apache-2.0
"""`Warning` headers: what clients show to people before it becomes an outage."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.registry import OCI_IMAGE, Server, htpasswd, running, wait_until


def warnings(server: Server, path: str, about: str, login: str | None = "") -> list[str]:
    """Those about one thing: the machine that tests run on may have a full disk, too."""
    answer = server.ask("GET", path, login=login)
    return [text for text in answer.headers.get_all("Warning") or [] if about in text]


def warnings_of_a_push(server: Server, about: str) -> list[str]:
    server.push_image("app", "v1")
    content = server.ask("GET", "/v2/app/manifests/v1").body
    answer = server.ask("PUT", "/v2/app/manifests/v1", content, {"Content-Type": OCI_IMAGE})
    assert answer.status == 201
    return [text for text in answer.headers.get_all("Warning") or [] if about in text]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """32 MiB, mounted where the server keeps its data (needs root)."""
    folder = tmp_path / "data"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_pushers_hear_that_the_volume_is_nearly_full(tmp_path: Path, small_disk: Path) -> None:
    with running(tmp_path) as server:
        assert warnings_of_a_push(server, "") == []
        assert warnings(server, "/v2/", "") == []
        found = os.statvfs(small_disk)
        leave = found.f_blocks * 8 // 100  # of blocks, more than the twentieth that is kept
        (small_disk / "ballast").write_bytes(b"x" * (found.f_bavail - leave) * found.f_frsize)

        def told() -> list[str]:
            return warnings(server, "/v2/", "volume")

        (text,) = wait_until(told, what="the full volume is noticed")
        assert text.startswith("299 - \"the registry's volume is nearly full")
        assert text.endswith('"')
        assert warnings_of_a_push(server, "") == [text]
        assert warnings(server, "/v2/app/manifests/v1", "") == []  # not where nodes pull


@contextmanager
def with_certificate(folder: Path, *, left: timedelta) -> Iterator[Server]:
    """Run a server whose certificate is good for 90 days, of which so much is left."""
    key, end = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC) + left
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - timedelta(days=90))
        .not_valid_after(end)
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "crt").write_bytes(certificate.public_bytes(pem))
    (folder / "key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    arguments = ("--tls-cert", folder / "crt", "--tls-key")
    with running(folder, *arguments, folder / "key") as server:
        yield server


@pytest.mark.parametrize(("days", "is_told"), [(20, False), (5, True)])
def test_pushers_hear_that_the_certificate_expires(
    tmp_path: Path, days: int, *, is_told: bool
) -> None:
    with with_certificate(tmp_path, left=timedelta(days=days)) as server:
        found = warnings(server, "/v2/", "certificate")
        assert len(found) == is_told
        assert all("expires soon" in text for text in found)
        assert warnings_of_a_push(server, "certificate") == found


def test_pushers_hear_that_a_file_is_not_taken_but_strangers_do_not(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(htpasswd(ci="x"))
    about = "does not take a changed file"
    with running(tmp_path, "--htpasswd", users, login="ci:x") as server:

        def told(login: str | None = "") -> list[str]:
            return warnings(server, "/v2/", about, login)

        assert told() == []
        users.write_text("broken")
        (text,) = wait_until(told, what="it is noticed")
        assert str(tmp_path) not in text
        assert told(None) == told("ci:wrong") == []
        users.write_text(htpasswd(ci="x"))
        wait_until(lambda: not told(), what="it is well again")
