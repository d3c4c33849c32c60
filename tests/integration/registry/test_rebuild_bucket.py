# SPDX-License-Identifier: Apache-2.0
"""`cais-registry fsck --rebuild` where blobs are in a bucket and the database is on a volume."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from support.command import run_command
from support.objectstore import S3Server
from support.pushed import collect, cut_off, has_new_snapshot, make_due, push_around_a_snapshot
from support.registry import running, wait_until

DATABASE = "metadata.sqlite3"


def fsck(config: Path, *options: str) -> dict[str, Any]:
    """The report, where nothing is left to do."""
    code, out, err = run_command("fsck", "--config", str(config), "-o", "json", *options)
    assert code == 0, out + err
    report: dict[str, Any] = json.loads(out)
    return report


def refusal(*options: str | Path) -> tuple[int, str]:
    """Exit code and the last line of what is told to people, where nothing was done."""
    code, out, err = run_command("fsck", "--rebuild", *map(str, options))
    assert out == ""
    return code, err.splitlines()[-1]


def test_a_destroyed_database_and_a_lost_volume_come_back(tmp_path: Path, s3: S3Server) -> None:
    config = {
        "data": str(tmp_path / "data"),
        "storage": s3.settings(tmp_path, prefix="lost/volume"),
        "garbageCollection": {"pushLease": "0s", "undeleteWindow": "0s"},
    }
    file, data = tmp_path / "server.yaml", tmp_path / "data"
    pushed, tags = push_around_a_snapshot(tmp_path, config)
    (data / DATABASE).write_bytes(b"scribble" * 999)
    new = data / "metadata.rebuilt.sqlite3"
    cut_off(["fsck", "--rebuild", "--config", str(file)], new.exists)
    report = fsck(file, "--rebuild")
    assert (report["manifestsKept"], report["manifestsFound"], report["left"]) == (7, 7, 0)
    assert report["blobsFound"] > 0
    assert fsck(file, "--digests")["found"] == {}
    with running(tmp_path, config=config) as server:
        pushed.check(server, tags)
        collect(server)
        pushed.check(server, tags)

    shutil.rmtree(data)  # the snapshots, too: what is in the bucket is enough
    report = fsck(file, "--rebuild")
    assert (report["snapshot"], report["manifestsFound"], report["left"]) == (None, 14, 0)
    with running(tmp_path, config=config) as server:
        pushed.check(server, {})
        collect(server)
        pushed.check(server, {})
        pushed.tags.clear()
        pushed.fill(server, "later")
        pushed.check(server, pushed.tags)
    assert fsck(file, "--digests")["found"] == {}


def test_what_is_not_the_registrys_or_does_not_answer_changes_nothing(
    tmp_path: Path, s3: S3Server
) -> None:
    def config(**more: str) -> Path:
        storage = s3.settings(tmp_path, **{"prefix": "ours"} | more)
        file = tmp_path / "-".join(["config", *more.values()])
        file.write_text(json.dumps({"data": str(data), "storage": storage}))
        return file

    data = tmp_path / "data"
    (tmp_path / "other").mkdir()
    storage = s3.settings(tmp_path, prefix="theirs")
    with running(tmp_path / "other", config={"storage": storage}) as server:
        server.push_image("a", "v1")
    for _ in "ab":
        with running(tmp_path, config=json.loads(config().read_text())) as server:
            wait_until(partial(has_new_snapshot, data), what="a snapshot is taken")
            server.push_image("a", "v1")
            busy = refusal("--config", config(), "--force")
        make_due(data)
    whole = refusal("--config", config())
    (data / DATABASE).write_bytes(b"scribble" * 999)
    before = sorted(s3.folder.rglob("*"))
    for (code, line), expected, says in (
        (busy, 2, "in use by another server"),
        (whole, 2, "is not damaged"),
        (refusal("--config", config(prefix="theirs")), 2, "below theirs/ has nothing of"),
        (refusal("--config", config(prefix="nobody")), 2, "below nobody/ has nothing of"),
        (refusal("--data", data), 2, "in a bucket, `--config` names it"),
        (refusal("--config", config(bucket="none-such")), 1, "object store does not answer"),
    ):
        assert (code, says in line) == (expected, True), line
    assert (data / DATABASE).read_bytes() == b"scribble" * 999
    assert sorted(s3.folder.rglob("*")) == before
    shutil.rmtree(data)
    code, line = refusal("--config", config(prefix="nobody"))
    assert (code, "there is nothing of a registry in it" in line) == (2, True), line
