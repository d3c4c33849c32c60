# SPDX-License-Identifier: Apache-2.0
"""The real server over a real PostgreSQL."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.postgresql import Cluster, cluster
from support.registry import OCI_IMAGE, OCI_INDEX, Server, running, start, wait_until


def config(folder: Path, dsn: str) -> dict[str, object]:
    (folder / "url").write_text(dsn + "\n")
    return {"database": {"urlFile": str(folder / "url")}}


def pushes(server: Server) -> bool:
    return server.ask("POST", "/v2/r/blobs/uploads/").status == 202


def is_ready(server: Server) -> bool:
    return server.ask("GET", "/readyz").status == 200


def test_an_image_is_pushed_pulled_listed_and_there_after_a_restart(
    tmp_path: Path, dsn: str
) -> None:
    with running(tmp_path, config=config(tmp_path, dsn)) as server:
        digest = server.push_image("r", "v1")
    with running(tmp_path, config=config(tmp_path, dsn)) as server:
        assert server.ask("GET", "/v2/r/manifests/v1")["Docker-Content-Digest"] == digest
        assert server.ask("GET", "/v2/r/tags/list").json["tags"] == ["v1"]
        assert server.ask("GET", "/v2/_catalog").json["repositories"] == ["r"]
        assert server.ask("GET", "/cais/v1/usage").json["tags"] == 1
    assert not (tmp_path / "data" / "metadata.sqlite3").exists()


def test_lists_of_referrers_under_a_tag_are_merged_in(tmp_path: Path, dsn: str) -> None:
    with running(tmp_path, config=config(tmp_path, dsn)) as server:
        subject = server.push_image("r", "v1")
        target = {"mediaType": OCI_IMAGE, "digest": subject, "size": 1}
        entries = []
        for n in range(12):
            fields: dict[str, Any] = {"subject": target} if n % 2 else {}
            digest = server.push_image("r", "last", annotations={"n": str(n)}, **fields)
            entries.append({"mediaType": OCI_IMAGE, "digest": digest, "size": 1})
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        server.push_manifest("r", subject.replace(":", "-"), index)

        def listed(last: str) -> list[str]:
            page = server.ask("GET", f"/v2/r/referrers/{subject}?last={last}")
            return [one["digest"] for one in page.json["manifests"]]

        found = sorted(str(entry["digest"]) for entry in entries)
        assert listed("") == found
        assert listed(found[4]) == found[5:]


def test_while_the_database_is_away_it_says_so_and_goes_on_afterwards(tmp_path: Path) -> None:
    with cluster() as own, running(tmp_path, config=config(tmp_path, own.dsn())) as server:
        digest = server.push_image("r", "v1")
        workers = server.workers
        own.stop()
        for method, path in (("GET", "/v2/r/manifests/v1"), ("POST", "/v2/r/blobs/uploads/")):
            answer = server.ask(method, path)
            assert (answer.status, answer.code) == (503, "UNAVAILABLE")
            assert answer["Retry-After"] is not None
        assert not is_ready(server)
        own.start()
        wait_until(lambda: is_ready(server), what="it is ready again")
        assert server.ask("GET", "/v2/r/manifests/v1")["Docker-Content-Digest"] == digest
        assert pushes(server)
        assert server.workers == workers


def test_what_was_acknowledged_survives_a_kill_of_the_database(tmp_path: Path) -> None:
    with cluster() as own, running(tmp_path, config=config(tmp_path, own.dsn())) as server:
        known = [server.push_image("r", f"v{n}", layer=str(n).encode()) for n in range(10)]
        assert own.process is not None
        pid = int((own.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)  # no checkpoint: the next start recovers from the log
        own.process.wait(60)
        own.start()
        wait_until(lambda: is_ready(server), what="it is ready again")
        for number, digest in enumerate(known):
            answer = server.ask("GET", f"/v2/r/manifests/v{number}")
            assert answer["Docker-Content-Digest"] == digest


@pytest.mark.parametrize(
    ("content", "said"), [("", "is empty"), (None, "cannot be read")], ids=["empty", "missing"]
)
def test_a_file_without_an_address_is_refused(
    tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "url").write_text(content)
    (tmp_path / "c.yaml").write_text(f"database: {{urlFile: {tmp_path}/url}}\n")
    server = start(tmp_path, "--config", tmp_path / "c.yaml")
    assert server.process.wait(60) == 2
    assert "database.urlFile" in server.log.read_text()
    assert said in server.log.read_text()
    assert not (tmp_path / "data").exists()


def test_a_database_that_forgets_commits_is_refused(
    tmp_path: Path, postgres: Cluster, dsn: str
) -> None:
    name = dsn.rpartition("=")[2]
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    (tmp_path / "url").write_text(dsn)
    (tmp_path / "c.yaml").write_text(f"database: {{urlFile: {tmp_path}/url}}\n")
    server = start(tmp_path, "--config", tmp_path / "c.yaml")
    try:
        wait_until(lambda: "synchronous_commit = off" in server.log.read_text(), what="it says why")
    finally:
        server.stop()
