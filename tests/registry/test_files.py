# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import bcrypt
import pytest

from cais_registry.app.files import Files
from cais_registry.app.watched import Watched
from cais_registry.config.errors import ConfigError
from cais_registry.config.settings import Flags


def user(name: str) -> str:
    hashed = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode()
    return f"{name}:{hashed}\n"


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """Make a self-signed certificate; the key is PKCS#8."""
    cert, key = folder / "made.crt", folder / "made.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-days", "2"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert.read_text(), key.read_text()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Folder:
    """A mounted volume as the kubelet makes it: files are links through `..data`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version = 0

    def publish(self, **files: str) -> None:
        self._version += 1
        version = self.path / f"..{self._version}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text)
            link = self.path / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        new = self.path / "..data_tmp"
        new.symlink_to(version.name)
        new.replace(self.path / "..data")


def test_a_swap_of_the_kubelet_is_seen_and_taken(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.publish(htpasswd=user("a"))
    path = tmp_path / "htpasswd"
    files = Files(None, Flags(htpasswd=str(path)))
    assert list(files.loaded.users) == ["a"]
    text = user("b")
    folder.publish(htpasswd=text)
    assert files.poll()
    assert list(files.loaded.users) == ["b"]
    assert files.loaded.hashes == {str(path): sha256(text)}
    assert not files.poll()


def test_a_bad_new_file_keeps_the_old_users_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "users"
    good = user("a")
    path.write_text(good)
    files = Files(None, Flags(htpasswd=str(path)))
    path.write_text("b:plain\n")
    assert not files.poll()
    assert list(files.loaded.users) == ["a"]
    assert files.loaded.hashes == {str(path): sha256(good)}
    assert files.error is not None
    assert "line 1" in files.error
    path.unlink()
    files.poll()
    assert "cannot be read" in (files.error or "")
    path.write_text(good)
    files.poll()
    assert files.error is None


def test_rules_and_times_change_live(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(user("a"))
    config = tmp_path / "server.yaml"
    head = f"auth: {{htpasswdFile: {tmp_path}/users}}\n"
    config.write_text(head)
    files = Files(config, Flags())
    config.write_text(
        head + "access: {anonymous: [pull]}\ngarbageCollection: {undeleteWindow: 0s}\n"
    )
    assert files.poll()
    assert files.loaded.settings.access.anonymous == ("pull",)
    assert files.loaded.settings.undelete_window.total_seconds() == 0
    assert files.error is None


def test_what_is_fixed_is_not_taken_and_said(tmp_path: Path) -> None:
    config = tmp_path / "server.yaml"
    config.write_text("listen: 127.0.0.1:1\n")
    files = Files(config, Flags())
    config.write_text("listen: 127.0.0.1:2\ngarbageCollection: {pushLease: 1h}\n")
    assert files.poll()
    assert files.loaded.settings.port == 1
    assert files.loaded.settings.push_lease.total_seconds() == 3600
    assert "restart" in (files.error or "")
    config.write_text("listen: 127.0.0.1:1\n")
    files.poll()
    assert files.error is None


def test_certificate_and_key_are_taken_together(tmp_path: Path) -> None:
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    first, second = certificate(tmp_path, "one"), certificate(tmp_path, "two")
    cert.write_text(first[0])
    key.write_text(first[1])
    files = Files(None, Flags(tls_cert=str(cert), tls_key=str(key)))
    cert.write_text(second[0])
    assert not files.poll()
    assert "tls" in (files.error or "")
    assert files.loaded.hashes == {str(cert): sha256(first[0])}
    key.write_text(second[1])
    assert files.poll()
    assert files.error is None
    assert files.loaded.hashes == {str(cert): sha256(second[0])}


def test_a_key_that_is_not_pkcs8_is_refused_with_the_way_out(tmp_path: Path) -> None:
    _, key = certificate(tmp_path, "one")
    subprocess.run(
        ["openssl", "ec", "-in", tmp_path / "made.key", "-out", tmp_path / "old.key"],
        check=True, capture_output=True,
    )  # fmt: skip
    flags = Flags(tls_cert=str(tmp_path / "made.crt"), tls_key=str(tmp_path / "old.key"))
    with pytest.raises(ConfigError, match="openssl pkcs8 -topk8") as caught:
        Files(None, flags)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"htpasswd": "missing"}, "auth.htpasswdFile"),
        ({"tls_cert": "missing", "tls_key": "missing"}, "tls.certFile"),
    ],
)
def test_a_missing_file_at_start_is_refused_by_its_setting(
    flags: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        Files(None, Flags(**flags))


def test_an_old_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    later = path.stat().st_mtime_ns + 60_000_000_000
    watched = Watched(path, setting="x", clock=lambda: later)
    assert watched.changed() == b"one"
    path.chmod(0o000)
    watched.read = pytest.fail  # type: ignore[method-assign]
    assert watched.changed() is None


def test_a_second_write_behind_the_same_time_stamp_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    moment = path.stat().st_mtime_ns
    watched = Watched(path, setting="x", clock=lambda: moment)
    assert watched.changed() == b"one"
    path.write_text("two")
    os.utime(path, ns=(moment, moment))
    assert watched.changed() == b"two"


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(9 * 1024 * 1024)
    with pytest.raises(ConfigError, match="larger than"):
        Watched(path, setting="x").changed()
