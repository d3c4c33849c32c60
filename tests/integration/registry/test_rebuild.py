# SPDX-License-Identifier: Apache-2.0
"""`cais-registry fsck --rebuild`: a destroyed database comes back, as a person would do it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from support.command import run_command
from support.registry import (
    DEADLINE,
    OCI_IMAGE,
    OCI_INDEX,
    Server,
    digest_of,
    is_alive,
    running,
    wait_until,
)

DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DATABASE = "metadata.sqlite3"


@dataclass
class Ledger:
    """What was acknowledged: contents by path, digests by repository and tag."""

    contents: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)

    def blob(self, server: Server, repo: str, content: bytes, algorithm: str = "sha256") -> str:
        digest = digest_of(content, algorithm)
        path = f"/v2/{repo}/blobs/"
        assert server.ask("POST", f"{path}uploads/?digest={digest}", content).status == 201
        self.contents[path + digest] = ("application/octet-stream", content)
        return digest

    def manifest(self, server: Server, repo: str, tag: str | None, document: object) -> str:
        content = json.dumps(document).encode()
        assert isinstance(document, dict)
        return self.bytes(server, repo, tag or digest_of(content), document["mediaType"], content)

    def bytes(self, server: Server, repo: str, to: str, media_type: str, content: bytes) -> str:
        path = f"/v2/{repo}/manifests/"
        kind = {"Content-Type": media_type}
        answer = server.ask("PUT", path + to, content, kind)
        assert answer.status == 201, answer.body
        digest = str(answer["Docker-Content-Digest"])
        self.contents[path + digest] = (media_type, content)
        if ":" not in to:
            self.tags[repo, to] = digest
        return digest

    def image(self, server: Server, repo: str, name: str, tag: str | None, **more: object) -> str:
        config = json.dumps({"name": name}).encode()
        layers = [b"shared by all" * 999, f"layer of {name}".encode() * 99]
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", x) for x in layers],
            **more,
        }
        for content in (config, *layers):
            self.blob(server, repo, content)
        return self.manifest(server, repo, tag, document)

    def fill(self, server: Server, word: str) -> None:
        """Push one of each kind."""
        parts = [self.image(server, "team/app", f"{word}-{part}", None) for part in "ab"]
        sizes = [len(self.contents[f"/v2/team/app/manifests/{part}"][1]) for part in parts]
        index = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                {"mediaType": OCI_IMAGE, "digest": part, "size": size}
                for part, size in zip(parts, sizes, strict=True)
            ],
        }
        self.manifest(server, "team/app", "latest", index)
        subject = {"mediaType": OCI_IMAGE, "digest": parts[0], "size": sizes[0]}
        self.image(
            server, "team/app", f"{word}-sig", None, subject=subject, artifactType="test/signature"
        )
        self.image(server, "other", f"{word}-a", "latest")
        self.image(server, "other", f"{word}-docker", word, mediaType=DOCKER_IMAGE)
        strong = self.blob(server, "strong", word.encode(), "sha512")
        layer = {"mediaType": "text/plain", "digest": strong, "size": len(word)}
        self.blob(server, "strong", b"{}")
        config = _descriptor("application/vnd.oci.empty.v1+json", b"{}")
        untyped = {"schemaVersion": 2, "config": config, "layers": [layer]}
        content = json.dumps(untyped).encode()
        self.bytes(server, "strong", digest_of(content, "sha512"), OCI_IMAGE, content)

    def check(self, server: Server, tags: dict[tuple[str, str], str]) -> None:
        """Pull everything, compare every byte, and the tags."""
        for path, (media_type, content) in self.contents.items():
            answer = server.ask("GET", path)
            assert (answer.status, answer.body) == (200, content), path
            assert answer["Content-Type"] == media_type
        found = {
            (repo, tag): server.ask("HEAD", f"/v2/{repo}/manifests/{tag}")["Docker-Content-Digest"]
            for repo in {path.split("/")[2] for path in self.contents} - {"team"} | {"team/app"}
            for tag in server.ask("GET", f"/v2/{repo}/tags/list").json["tags"]
        }
        assert found == tags
        subject = next(d for d in self.contents if d.startswith("/v2/team/app/manifests/"))
        path = subject.replace("/manifests/", "/referrers/")
        (referrer,) = server.ask("GET", path).json["manifests"]
        assert referrer["artifactType"] == "test/signature"


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def kill(server: Server) -> None:
    """End it as a power loss would, all processes of it."""
    pids = [server.process.pid, *server.workers]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    server.process.wait(DEADLINE)
    wait_until(lambda: not any(map(is_alive, pids)), what="its processes have ended")


def make_due(data: Path) -> None:
    """Make the next snapshot due, which the server looks for when it starts: age the others."""
    for path in (data / "snapshots").iterdir():
        old = time.time() - 7200
        os.utime(path, (old, old))


def has_new_snapshot(data: Path) -> bool:
    """Whether one is not aged; in a quick test it may have the name of an aged one."""
    taken = (data / "snapshots").glob("metadata-*")
    return any(path.stat().st_mtime > time.time() - 3600 for path in taken)


def command(data: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "cais_registry", "fsck", "--data", str(data), *more]


def fsck(data: Path, *more: str) -> tuple[int, str, str]:
    ended = subprocess.run(
        command(data, *more), capture_output=True, text=True, check=False, timeout=120
    )
    return ended.returncode, ended.stdout, ended.stderr


def delete(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def truncate(path: Path) -> None:
    os.truncate(path, 5000)


def scribble(path: Path) -> None:
    with path.open("rb+") as file:
        file.seek(4096)
        file.write(os.urandom(16384))


def filled(folder: Path) -> tuple[Ledger, dict[tuple[str, str], str]]:
    """A data folder with a snapshot, pushes after it, and a server that was killed."""
    ledger = Ledger()
    with running(folder) as server:
        ledger.fill(server, "before")
    tags = dict(ledger.tags)
    make_due(server.data)
    with running(folder) as server:
        wait_until(partial(has_new_snapshot, server.data), what="a snapshot is taken")
        ledger.fill(server, "after")
        kill(server)
    return ledger, tags


@pytest.mark.parametrize("destroy", [delete, truncate, scribble])
def test_a_destroyed_database_comes_back(tmp_path: Path, destroy: Callable[[Path], None]) -> None:
    ledger, tags = filled(tmp_path)
    data = tmp_path / "data"
    destroy(data / DATABASE)
    code, out, err = fsck(data, "--rebuild", "-o", "json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["manifestsKept"], report["manifestsFound"], report["left"]) == (7, 7, 0)
    assert (report["moved"] is None) is (destroy is delete)
    assert fsck(data, "--digests")[0] == 0
    config = {"garbageCollection": {"pushLease": "0s", "undeleteWindow": "0s"}}
    with running(tmp_path, config=config) as server:
        ledger.check(server, tags)
        gc = server.ask("POST", "/cais/v1/gc").json
        wait_until(
            lambda: server.ask("GET", f"/cais/v1/gc/{gc['id']}").json["state"] == "Succeeded",
            what="garbage is collected",
        )
        ledger.check(server, tags)
        ledger.fill(server, "later")  # and it goes on as a registry does
    assert fsck(data, "--digests")[0] == 0


def test_without_a_snapshot_all_comes_back_but_tags(tmp_path: Path) -> None:
    ledger, _ = filled(tmp_path)
    data = tmp_path / "data"
    for path in (data / "snapshots").iterdir():
        path.write_bytes(b"scribble")
    delete(data / DATABASE)
    code, out, _ = fsck(data, "--rebuild")
    assert (code, "there is no snapshot that can be read: nothing has a tag" in out) == (0, True)
    with running(tmp_path) as server:
        ledger.check(server, {})
    assert fsck(data, "--digests")[0] == 0


def test_a_rebuild_that_was_killed_can_be_run_again(tmp_path: Path) -> None:
    ledger, tags = filled(tmp_path)
    data = tmp_path / "data"
    scribble(data / DATABASE)
    new, aside = data / "metadata.rebuilt.sqlite3", data / "damaged"
    for sign in (new.exists, new.with_name(f"{new.name}-wal").exists, aside.exists):
        process = subprocess.Popen(command(data, "--rebuild"), stdout=subprocess.DEVNULL)
        wait_until(lambda: sign() or process.poll() is not None, what="it has come so far")  # noqa: B023 - called at once
        process.kill()
        process.wait()
    for end in ("", "-wal"):  # as one leaves it that is killed between its last two steps
        new.with_name(new.name + end).write_bytes(b"half")
    delete(data / DATABASE)
    with pytest.raises(AssertionError, match="fsck --rebuild --data"), running(tmp_path):
        pass
    code, out, _ = fsck(data, "--rebuild")
    assert code == 0, out
    assert not list(data.glob("metadata.rebuilt*"))
    with running(tmp_path) as server:
        ledger.check(server, tags)
    assert fsck(data, "--digests")[0] == 0


def test_what_need_not_or_cannot_be_rebuilt_is_left_alone(tmp_path: Path) -> None:
    def refused(data: Path, *more: str) -> tuple[int, str, str]:
        return run_command("fsck", "--data", str(data), *more)

    with running(tmp_path) as server:
        server.push_image("a", "v1")
        busy = refused(server.data, "--rebuild", "--force")
    data = server.data
    before = (data / DATABASE).read_bytes()
    (tmp_path / "empty").mkdir()
    for (code, out, err), says in (
        (busy, "in use by another server"),
        (refused(data, "--rebuild"), "is not damaged"),
        (refused(data, "--rebuild", "--repair"), "goes with --data of a stopped server only"),
        (refused(data, "--rebuild", "--force", "--orphans-to", "UPPER"), "'UPPER' is not allowed"),
        (refused(data, "--force"), "go with --rebuild only"),
        (refused(tmp_path / "empty", "--rebuild"), "nothing of a registry"),
        (refused(tmp_path / "none", "--rebuild"), "nothing of a registry"),
    ):
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert says in line
    assert (data / DATABASE).read_bytes() == before
    assert not (tmp_path / "none").exists()
    code, out, _ = fsck(data, "--rebuild", "--force")  # told so, it does
    assert code == 0
    (moved,) = (data / "damaged").glob("metadata-*.sqlite3")
    assert str(moved) in out
    assert moved.read_bytes() == before
