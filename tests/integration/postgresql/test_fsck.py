# SPDX-License-Identifier: Apache-2.0
"""`cais-registry fsck` of a server over PostgreSQL and a bucket: online, and by its file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.command import run_command
from support.objectstore import S3Server
from support.postgresql import Cluster
from support.registry import Server, digest_of, running

LAYER = b"layer" * 1000
ORPHANS = {
    "blobs": f"blobs/sha256/aa/{'a' * 64}/{'0' * 32}",
    "manifests": f"manifests/sha256/aa/{'a' * 64}/{'2' * 32}",
    "uploads": f"uploads/{'1' * 32}/00001",
}


@dataclass(frozen=True)
class Place:
    """A server over PostgreSQL and a bucket.

    Attributes:
        server: It runs.
        config: Its file.
        objects: Where the store keeps its objects, as files.
    """

    server: Server
    config: Path
    objects: Path

    def fsck(self, *options: str, where: str = "") -> tuple[int, dict[str, Any]]:
        """Exit code and report; by the file unless told otherwise."""
        return (
            fsck("--server", where, *options) if where else fsck("--config", self.config, *options)
        )

    def blob(self, content: bytes = LAYER) -> Path:
        encoded = digest_of(content).removeprefix("sha256:")
        (path,) = (path for path in self.objects.rglob(f"{encoded}/*") if path.is_file())
        return path

    def copy(self) -> Path:
        (path,) = (path for path in self.objects.glob("manifests/*/*/*/*") if path.is_file())
        return path


def fsck(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    code, out, err = run_command("fsck", "-o", "json", *map(str, arguments))
    assert code in (0, 1), err
    return code, json.loads(out)


@pytest.fixture
def place(tmp_path: Path, dsn: str, s3: S3Server) -> Iterator[Place]:
    (tmp_path / "url").write_text(dsn)
    config = {
        "data": str(tmp_path / "data"),
        "database": {"urlFile": str(tmp_path / "url")},
        "storage": s3.settings(tmp_path, prefix=tmp_path.name),
    }
    with running(tmp_path, config=config) as server:
        server.push_image("a", "v1", LAYER)
        yield Place(server, tmp_path / "server.yaml", s3.folder / tmp_path.name)


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_what_is_wrong_in_a_bucket_is_found_repaired_and_healed_by_a_push(place: Place) -> None:
    server, path = place.server, f"/v2/a/blobs/{digest_of(LAYER)}"
    upload = server.ask("POST", "/v2/a/blobs/uploads/")["Location"] or ""
    assert server.ask("PATCH", upload, b"part" * 100).status == 202  # goes on: nothing is wrong
    code, report = place.fsck("--digests")
    assert (code, report["found"], report["blobs"], report["manifests"]) == (0, {}, 2, 1)
    assert place.fsck("--digests", where=server.url)[1]["found"] == {}

    for kind, change in (
        ("blob-digest", lambda content: b"x" + content[1:]),
        ("blob-size", lambda content: content[:-1]),
    ):
        damage(place.blob(), change)
        assert place.fsck("--digests")[1]["found"] == {kind: 1}
        code, report = place.fsck("--digests", "--repair", where=server.url)
        assert (code, report["left"]) == (1, 1)
        assert (
            "push it again to a (what is left of it is in damaged/"
            in (report["findings"][0]["message"])
        )
        assert server.ask("GET", path).status == 404
        server.push_image("a", "v1", LAYER)
        assert server.ask("GET", path).body == LAYER
        assert place.fsck("--digests")[0] == 0
    assert len(list((place.objects / "damaged").iterdir())) == 2

    place.blob().unlink()
    assert place.fsck("--repair")[1]["found"] == {"blob-missing": 1}
    server.push_image("a", "v1", LAYER)
    assert place.fsck("--digests")[0] == 0
    answer = server.ask("PUT", f"{upload}?digest={digest_of(b'part' * 100)}")
    assert answer.status == 201


def test_copies_are_written_anew_and_what_belongs_to_nothing_goes(place: Place) -> None:
    place.fsck("--repair", where=place.server.url)  # the server notes that the copy is there
    for where in ("", place.server.url):
        damage(place.copy(), lambda content: content[1:])
        for key in ORPHANS.values():
            (place.objects / key).parent.mkdir(parents=True, exist_ok=True)
            (place.objects / key).write_bytes(b"nobody's")
        assert place.fsck(where=where)[1]["found"] == {"orphan": 3, "copy-damaged": 1}
        code, report = place.fsck("--repair", where=where)
        assert (code, report["left"]) == (0, 0)
        assert not any((place.objects / key).exists() for key in ORPHANS.values())
        assert place.fsck("--digests")[1]["found"] == {}


def test_who_names_an_empty_database_by_mistake_loses_nothing(
    place: Place, postgres: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "other").write_text(postgres.create("fsck_other"))
    config = json.loads(place.config.read_text())
    config["database"]["urlFile"] = str(tmp_path / "other")
    (tmp_path / "other.yaml").write_text(json.dumps(config))
    before = sorted(place.objects.rglob("*"))
    code, report = fsck("--config", tmp_path / "other.yaml", "--repair")
    assert (code, report["found"], report["left"]) == (1, {"orphan": 3}, 3)
    assert "the database knows nothing" in report["findings"][0]["message"]
    assert sorted(place.objects.rglob("*")) == before


def test_a_store_that_does_not_answer_is_told(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(place.config.read_text())
    config["storage"]["s3"]["bucket"] = "none-such"
    (tmp_path / "other.yaml").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    code, out, err = run_command("fsck", "--config", "other.yaml")
    assert (code, out) == (1, ""), err
    assert "the object store does not answer" in err
