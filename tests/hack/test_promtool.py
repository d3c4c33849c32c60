# SPDX-License-Identifier: Apache-2.0
import shutil
import subprocess
from pathlib import Path

import pytest

import promtool


def test_what_is_there_is_not_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "programs" / "promtool" / "promtool"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setenv("CAIS_CACHE", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert promtool.promtool() == program


def test_without_debian_it_says_what_is_missing_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAIS_CACHE", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert promtool.main() == 1
    assert "there is no apt-get" in capsys.readouterr().err
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_a_package_that_cannot_be_had_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 100, "", "no network")

    monkeypatch.setenv("CAIS_CACHE", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(subprocess, "run", offline)
    assert promtool.main() == 1
    assert "apt-get update -q: no network" in capsys.readouterr().err
