# SPDX-License-Identifier: Apache-2.0
"""`cais-registry fsck`, as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from support.registry import Server, digest_of, htpasswd, running

LAYER = b"layer" * 1000


def fsck(*arguments: str | Path) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "cais_registry", "fsck", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return ended.returncode, ended.stdout, ended.stderr


def blob_file(data: Path) -> Path:
    (path,) = (data / "blobs").rglob(f"{digest_of(LAYER).removeprefix('sha256:')}/*")
    return path


def flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def test_a_stopped_server_is_checked_repaired_and_healed_by_a_push(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.push_image("a", "v1", LAYER)
    data = server.data
    assert fsck("--data", data, "--digests")[0] == 0
    flip(blob_file(data))
    assert fsck("--data", data)[0] == 0  # its size is right; only hashing finds it
    code, out, _ = fsck("--data", data, "--digests", "-o", "json")
    assert (code, json.loads(out)["found"]) == (1, {"blob-digest": 1})
    code, out, _ = fsck("--data", data, "--digests", "--repair")
    assert (code, "push it again to a" in out) == (1, True)
    with running(tmp_path) as server:
        assert server.ask("GET", f"/v2/a/blobs/{digest_of(LAYER)}").status == 404
        server.push_image("a", "v1", LAYER)
        assert server.ask("GET", f"/v2/a/blobs/{digest_of(LAYER)}").body == LAYER
    code, out, _ = fsck("--data", data, "--digests")
    assert (code, out.startswith("all is well: 2 blobs, 1 manifests")) == (0, True)


def test_what_cannot_be_checked_ends_with_2_in_one_line(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.push_blob("a", LAYER)
        busy = fsck("--data", server.data)
    database = server.data / "metadata.sqlite3"
    content = bytearray(database.read_bytes())
    content[: 1 << 12] = b"\xff" * (1 << 12)
    database.write_bytes(content)
    for (code, out, err), says in (
        (busy, "in use by another server"),
        (fsck("--data", tmp_path / "none"), "there is no metadata.sqlite3"),
        (fsck(), "--data of a stopped server, --config of one over a bucket"),
        (fsck("--data", server.data, "--server", "http://x"), "name one store"),
        (fsck("--data", server.data), "is damaged"),
    ):
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert says in line
    assert not (tmp_path / "none").exists()


def test_a_running_server_is_checked_while_others_push(tmp_path: Path) -> None:
    pushed: list[tuple[str, str]] = []
    is_over = threading.Event()

    def push(server: Server) -> None:
        while not is_over.is_set():
            layer = f"layer {len(pushed)}".encode()
            pushed.append((server.push_image("b", "v1", layer), digest_of(layer)))

    with running(tmp_path) as server:
        server.push_image("a", "v1", LAYER)
        orphan = server.data / "uploads" / ("0" * 32)
        orphan.write_bytes(b"nobody's")
        pusher = threading.Thread(target=push, args=(server,))
        pusher.start()
        try:
            where = ("--server", server.url, "-o", "json", "--digests")
            codes = [fsck(*where, "--repair") for _ in range(4)]
        finally:
            is_over.set()
            pusher.join()
        reports: list[dict[str, Any]] = [json.loads(out) for _, out, _ in codes]
        assert [report["found"] for report in reports] == [{"orphan": 1}, {}, {}, {}]
        assert not orphan.exists()
        assert len(pushed) > 1
        for manifest, layer in pushed:
            assert server.ask("GET", f"/v2/b/manifests/{manifest}").status == 200
            assert server.ask("GET", f"/v2/b/blobs/{layer}").status == 200


def test_only_who_administers_may_check(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(htpasswd(root="r", gc="g"))
    config = {
        "auth": {"htpasswdFile": str(users)},
        "access": {
            "rules": [
                {"users": ["root"], "repositories": ["**"], "actions": ["admin"]},
                {"users": ["gc"], "repositories": ["**"], "actions": ["gc", "usage", "pull"]},
            ]
        },
    }
    with running(tmp_path, config=config) as server:
        for name, login, code in (("root", "root:r", 0), ("gc", "gc:g", 1)):
            file = tmp_path / name
            file.write_text(login)
            ended = fsck("--server", server.url, "--credentials-file", file)
            assert ended[0] == code, ended
        assert "(403 DENIED)" in ended[2]
