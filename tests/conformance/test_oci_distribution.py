# SPDX-License-Identifier: Apache-2.0
"""The conformance suite of the OCI distribution specification, against the real server."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import programs
from support.objectstore import s3_running
from support.registry import Server, htpasswd, make_certificate, running
from support.tokens import Key, configure, offer

HACK = Path(programs.__file__)
SPARSE = {"limits": {"sparseManifests": True}}


@pytest.fixture(scope="session")
def suite() -> Path:
    """The program of the suite, built unless it is there."""
    subprocess.run([sys.executable, HACK, "conformance"], check=True)
    return programs.cache_folder() / "bin" / "conformance"


@dataclass(frozen=True)
class Results:
    """What the suite reports: groups of tests count in `total`, but have no name.

    Attributes:
        total: Tests that ran.
        failed: Names.
        skipped: Names.
        counts: Of failures, errors, skipped and disabled tests, as far as there are any.
    """

    total: int
    failed: list[str]
    skipped: list[str]
    counts: dict[str, str]


def run(suite: Path, server: Server, folder: Path, **variables: str) -> Results:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "OCI_REGISTRY": server.url.partition("//")[2],
        "OCI_REPO1": "conformance/one",
        "OCI_REPO2": "conformance/two",
        "OCI_VERSION": "dev",
        "OCI_DATA_SPARSE": "true",
        "OCI_RESULTS_DIR": str(folder / "results"),
        **variables,
    }
    with (folder / "suite.log").open("wb") as log:
        subprocess.run([suite], env=environment, stdout=log, stderr=log, check=False)
    return read(folder / "results" / "junit.xml")


def read(report: Path) -> Results:
    root = ET.parse(report).getroot()  # noqa: S314 - written by the suite just now
    statuses = [(case.get("status"), case.get("name", "")) for case in root.iter("testcase")]
    return Results(
        total=int(root.get("tests", "0")),
        failed=[name for status, name in statuses if status not in ("passed", "skipped")],
        skipped=[name for status, name in statuses if status == "skipped"],
        counts={key: value for key, value in root.items() if key not in ("tests", "time")},
    )


def check(results: Results, *, skipped: str = "") -> None:
    assert results.failed == []
    assert [name for name in results.skipped if not skipped or skipped not in name] == []
    assert skipped or set(results.counts.values()) <= {"0"}
    assert results.total > 1000


SETUPS = (
    *product(("http", "tls"), ("open", "login"), ("sqlite", "postgresql")),
    ("tls", "login", "tokens", "sqlite"),
)


@pytest.mark.parametrize("setup", [" ".join(setup) for setup in SETUPS])
def test_every_test_passes(
    suite: Path, tmp_path: Path, request: pytest.FixtureRequest, setup: str
) -> None:
    flags: list[str | Path] = []
    variables = {"OCI_TLS": "disabled"}
    config: dict[str, object] = dict(SPARSE)
    if "tls" in setup:
        cert, key = make_certificate(tmp_path)
        flags += ["--tls-cert", cert, "--tls-key", key]
        variables = {"OCI_TLS": "enabled", "SSL_CERT_FILE": str(cert)}
    if "login" in setup:
        (tmp_path / "users").write_text(htpasswd(tester="secret"))
        flags += ["--htpasswd", tmp_path / "users"]
        variables |= {"OCI_USERNAME": "tester", "OCI_PASSWORD": "secret"}
    if "postgresql" in setup:
        (tmp_path / "url").write_text(request.getfixturevalue("dsn"))
        config["database"] = {"urlFile": str(tmp_path / "url")}
    if "tokens" in setup:
        config["tokens"] = configure(tmp_path, Key(), realms={})
    with running(tmp_path, *flags, config=config) as server:
        if "tokens" in setup:
            offer(server, config)
        # a token is good for the repositories that it names, and such a mount names none
        skipped = "mount-anonymous" if "tokens" in setup else ""
        check(run(suite, server, tmp_path, **variables), skipped=skipped)


def test_every_test_passes_on_postgresql_and_an_object_store(
    suite: Path, tmp_path: Path, dsn: str
) -> None:
    (tmp_path / "url").write_text(dsn)
    (tmp_path / "s3").mkdir()
    with s3_running(tmp_path / "s3") as s3:
        config = SPARSE | {
            "database": {"urlFile": str(tmp_path / "url")},
            "storage": s3.settings(tmp_path),
        }
        with running(tmp_path, config=config) as server:
            check(run(suite, server, tmp_path, OCI_TLS="disabled"))
