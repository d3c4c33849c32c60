# SPDX-License-Identifier: Apache-2.0
"""`cais-registry fsck --rebuild` over PostgreSQL and a bucket: a backup gets what came after it."""

from __future__ import annotations

import json
import secrets
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cais_registry.model.errors import Unavailable
from cais_registry.stores.connection import Connection, Row
from cais_registry.stores.postgresql_database import PostgresDatabase
from support.command import run_command
from support.objectstore import S3Server
from support.postgresql import Cluster
from support.pushed import Pushed, collect, cut_off, kill
from support.registry import running, wait_until


@dataclass(frozen=True)
class Place:
    """Where servers over a database and a bucket are told to be.

    Attributes:
        folder: Of the server and its file.
        config: What is in the file.
    """

    folder: Path
    config: dict[str, Any]

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.folder / "server.yaml"

    def use(self, dsn: str, **storage: Any) -> None:
        """Name another database, or another bucket."""
        (self.folder / "url").write_text(dsn)
        config = self.config | ({"storage": storage} if storage else {})
        self.file.write_text(json.dumps(config))

    def fsck(self, *options: str) -> tuple[int, str, str]:
        return run_command("fsck", "--config", str(self.file), *options)

    def report(self, *options: str) -> dict[str, Any]:
        """What is told where nothing is left to do."""
        code, out, err = self.fsck(*options, "-o", "json")
        assert code == 0, out + err
        report: dict[str, Any] = json.loads(out)
        return report


@pytest.fixture
def place(tmp_path: Path, s3: S3Server) -> Place:
    config = {
        "data": str(tmp_path / "data"),
        "database": {"urlFile": str(tmp_path / "url")},
        "storage": s3.settings(tmp_path, prefix=tmp_path.name),
        "garbageCollection": {"pushLease": "0s", "undeleteWindow": "0s"},
    }
    return Place(tmp_path, config)


def test_a_backup_and_an_empty_database_get_what_is_in_the_bucket(
    place: Place, postgres: Cluster, dsn: str
) -> None:
    pushed = Pushed()
    place.use(dsn)
    with running(place.folder, config=place.config) as server:
        pushed.fill(server, "before")
    tags, backup = dict(pushed.tags), f"backup_of_{dsn.rpartition('=')[2]}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {backup} TEMPLATE {dsn.rpartition('=')[2]}".encode())
    with running(place.folder, config=place.config) as server:
        pushed.fill(server, "after")
        kill(server)

    place.use(postgres.dsn(backup))
    with psycopg.connect(postgres.dsn(backup), autocommit=True) as connection:
        command = ["fsck", "--rebuild", "--config", str(place.file)]
        cut_off(command, lambda: _blobs(connection) > 6)
    wait_until(lambda: place.fsck("--rebuild")[0] == 0, what="its lock has ended")
    report = place.report("--rebuild")
    assert (report["manifestsKept"], report["blobsFound"], report["left"]) == (14, 0, 0)
    assert place.report("--digests")["found"] == {}
    with running(place.folder, config=place.config) as server:
        pushed.check(server, tags)
        collect(server)
        pushed.check(server, tags)
        code, out, err = place.fsck("--rebuild", "--force")  # not even then: it is in use
        assert (code, out) == (2, "")
        assert "the database is in use by servers (" in err

    place.use(postgres.create(f"empty_{backup}"))
    code, out, _ = place.fsck("--rebuild")
    assert (code, "tags are those that the database had; 0 manifests kept and 14" in out) == (0, 1)
    with running(place.folder, config=place.config) as server:
        pushed.check(server, {})
        pushed.tags.clear()
        pushed.fill(server, "later")
        pushed.check(server, pushed.tags)
    assert place.report("--digests")["found"] == {}


def _blobs(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM blob").fetchone()
    assert row is not None
    return int(row[0])


def test_no_server_starts_while_a_database_is_rebuilt(
    place: Place, postgres: Cluster, dsn: str
) -> None:
    """Where bytes are on a volume: that is rebuilt from, too."""
    on_volume = Place(place.folder, {k: v for k, v in place.config.items() if k != "storage"})
    on_volume.use(dsn)
    with closing(PostgresDatabase(dsn, is_alone=True)):
        with (
            pytest.raises(AssertionError, match="the database is being rebuilt: wait until"),
            running(place.folder, config=on_volume.config),
        ):
            pass
        assert "is in use by servers" in on_volume.fsck("--rebuild")[2]
    with running(place.folder, config=on_volume.config) as server:
        server.push_image("a", "v1")
    on_volume.use(postgres.create(f"empty_{secrets.token_hex(6)}"))
    report = on_volume.report("--rebuild")
    assert (report["manifestsFound"], report["blobsFound"], report["left"]) == (1, 2, 0)
    assert on_volume.report("--digests")["found"] == {}


async def test_neither_goes_on_beside_the_other_after_a_lost_connection(dsn: str) -> None:
    def end_connections() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    with closing(PostgresDatabase(dsn)) as server:
        await server.read(_one)
        end_connections()
        with closing(PostgresDatabase(dsn, is_alone=True)) as rebuilding:
            for use in (server.read, server.write):
                with pytest.raises(Unavailable, match="is being rebuilt"):
                    await use(_one)
            end_connections()
            assert await server.write(_one) == [{"one": 1}]
            with pytest.raises(Unavailable, match="in use by servers"):
                await rebuilding.write(_one)
        assert await server.read(_one) == [{"one": 1}]


def _one(connection: Connection) -> list[Row]:
    return connection.execute("SELECT 1 AS one")


def test_a_bucket_that_is_not_the_registrys_changes_nothing(
    place: Place, dsn: str, s3: S3Server
) -> None:
    place.use(dsn)
    empty = place.fsck("--rebuild")
    with running(place.folder, config=place.config) as server:
        server.push_image("a", "v1")
        upload = server.ask("POST", "/v2/a/blobs/uploads/")["Location"] or ""
    place.use(dsn, **s3.settings(place.folder, prefix="nobody"))
    wrong = place.fsck("--rebuild")
    place.use(dsn, **s3.settings(place.folder, bucket="none-such"))
    away = place.fsck("--rebuild")
    for (code, out, err), expected, says in (
        (empty, 2, "there is nothing of a registry in it"),
        (wrong, 2, "below nobody/ has nothing of what the database"),
        (away, 1, "the object store does not answer"),
    ):
        assert (code, out) == (expected, ""), err
        assert says in err
    with running(place.folder, config=place.config) as server:
        assert server.ask("GET", "/v2/a/manifests/v1").status == 200
        assert server.ask("GET", upload).status == 204
