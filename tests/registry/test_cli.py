# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from cais_registry import cli
from cais_registry.cli import client, gc, usage
from cais_registry.config.errors import ConfigError


@pytest.mark.parametrize(
    "command", [[], ["serve"], ["gc"], ["usage"], ["fsck"], ["import"], ["passwd"]]
)
def test_help_teaches(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--help"])
    assert ended.value.code == 0
    assert "cais-registry" in capsys.readouterr().out


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "docker push localhost:5000/my-image" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["serve", "--dat", "x"], ["gc"], ["fly"], ["gc", "--server", "x", "--password", "y"]],
)
def test_what_is_not_understood_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["gc", "--server", "ftp://x"], 2, "--server 'ftp://x'"),
        (["gc", "--server", "http://x", "--credentials-file", "missing"], 2, "--credentials-file"),
        (["gc", "--server", "https://x", "--ca-file", "missing"], 2, "--ca-file missing"),
        (["usage", "--server", "http://127.0.0.1:1"], 1, "cannot be asked"),
    ],
)
def test_a_failure_is_one_line(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cais-registry: ")
    assert says in line


@pytest.mark.parametrize("text", ["", "no-colon", "a:b\nc:d"])
def test_credentials_are_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials"
    path.write_text(text)
    options = argparse.Namespace(server="http://x", ca_file=None, credentials_file=str(path))
    with pytest.raises(ConfigError, match="user:password"):
        client.build(options)


def test_credentials_do_not_show_in_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text("ci:very-secret\n")
    options = argparse.Namespace(server="http://x/", ca_file=None, credentials_file=str(path))
    built = client.build(options)
    assert built.authorization == "Basic Y2k6dmVyeS1zZWNyZXQ="
    assert "Y2k6" not in repr(built)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (532, "532 B"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB"), (3 << 41, "6.0 TiB")],
)
def test_sizes_are_written_for_people(count: int, text: str) -> None:
    assert usage.human(count) == text


WOULD = "2 manifests and 3 blobs, 1.0 KiB, by retention 5 tags and 1 untagged manifests, in 1.2 s"
DELETED = "2 manifests and 3 blobs, 2.0 KiB, in 1.2 s"


def _run(**fields: Any) -> dict[str, Any]:
    return {
        "id": "r1",
        "state": "Succeeded",
        "dryRun": False,
        "durationSeconds": 1.25,
        "manifestsDeleted": 2,
        "blobsDeleted": 3,
        "bytesReclaimed": 2048,
        "bytesReclaimable": 1024,
        "message": "",
        **fields,
    }


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (_run(state="Running"), "garbage collection r1 is running"),
        (
            _run(),
            f"Succeeded: deleted {DELETED}; 1.0 KiB can be given back later",
        ),
        (
            _run(dryRun=True),
            "Succeeded: would delete 2 manifests and 3 blobs, 1.0 KiB, in 1.2 s",
        ),
        (
            _run(dryRun=True, tagsDeleted=5, untaggedDeleted=1),
            f"Succeeded: would delete {WOULD}",
        ),
        (
            _run(state="Failed", message="disk"),
            f"Failed: deleted {DELETED}; 1.0 KiB can be given back later (disk)",
        ),
    ],
)
def test_a_run_is_told_in_a_line(run: dict[str, Any], text: str) -> None:
    assert gc.describe(run) == text


def test_a_dry_run_that_meets_a_real_one_says_so_and_lists_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def going(*_: Any) -> Any:
        return _run(state="Running")

    monkeypatch.setattr(client.Client, "call", going)
    assert cli.main(["gc", "--server", "http://x", "--dry-run"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "garbage collection r1 is running, and it is no dry run" in told.err
