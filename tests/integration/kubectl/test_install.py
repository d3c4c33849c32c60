# SPDX-License-Identifier: Apache-2.0
"""The script that installs the plug-in, from the wheel that the project builds."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "kubectl" / "install.sh"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", folder], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def install(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "HOME": str(home),
        "PYTHON": sys.executable,
        "PIP_NO_INDEX": "1",  # what the plug-in needs is in the wheel; PyYAML is for -o yaml only
        "PIP_NO_DEPS": "1",
    }
    environment.pop("XDG_DATA_HOME", None)
    command = ["sh", str(SCRIPT), *arguments]
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False)


def test_the_wheel_has_all_three_programs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entry,) = (one for one in archive.namelist() if one.endswith("entry_points.txt"))
        names = [line.partition(" = ")[0] for line in archive.read(entry).decode().splitlines()[1:]]
    assert {"cais-operator", "cais-registry", "kubectl-cais", "kubectl_complete-cais"} <= set(names)


def test_it_installs_links_works_again_and_leaves_nothing(wheel: Path, tmp_path: Path) -> None:
    done = install(tmp_path, "--from", str(wheel))
    assert done.returncode == 0, done.stderr
    assert "kubectl-cais 0.1.0" in done.stdout
    assert "on your PATH" in done.stdout
    links = {path.name for path in (tmp_path / ".local" / "bin").iterdir()}
    assert links == {"kubectl-cais", "kubectl_complete-cais"}
    program = tmp_path / ".local" / "bin" / "kubectl_complete-cais"
    shown = subprocess.run([program, "us"], check=True, capture_output=True, text=True).stdout
    assert shown.startswith("usage\t")
    gone = install(tmp_path, "--uninstall")
    assert gone.returncode == 0
    left = [path for path in (tmp_path / ".local").rglob("*") if not path.is_dir()]
    assert left == []


def test_a_folder_that_it_did_not_make_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("dear")
    for arguments in (["--uninstall"], []):
        refused = install(tmp_path, "--home", str(other), *arguments)
        assert refused.returncode == 1
        assert "was not made by this script" in refused.stderr
    assert (other / "thesis.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--form", "x"], "unknown argument --form"),
        (["--from"], "--from needs a value"),
        (["--from", "/nowhere"], "/nowhere is not there"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_made(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    refused = install(tmp_path, *arguments)
    assert refused.returncode == 2
    assert words in refused.stderr
    assert list(tmp_path.iterdir()) == []
