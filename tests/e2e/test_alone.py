# SPDX-License-Identifier: Apache-2.0
"""The registry without Kubernetes, by exactly the README's commands."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.place import ROOT, Place
from demo.shell import Shell
from e2e.kit import Cluster, until
from e2e.readme import blocks

INSTALL, USE, CONTAINER = blocks((ROOT / "README.md").read_text(), "The registry alone")


def shell_in(place: Place, folder: Path, programs: str = "") -> Shell:
    """Return a shell as `make shell` gives one, in a folder, with more programs on its path."""
    beside = place.beside
    environment = dict(beside.environment)
    environment["PATH"] = f"{programs}:{environment['PATH']}" if programs else environment["PATH"]
    return Shell(prompt="$", enter=beside.enter, environment=environment, folder=folder)


@contextmanager
def running(shell: Shell, command: str) -> Iterator[None]:
    """Keep a command running, as in a terminal of its own."""
    process = subprocess.Popen(
        [*shell.enter, "bash", "-c", f'cd "$1"; exec {command}', "bash", str(shell.folder)],
        env=dict(shell.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: answers(shell), bool)
        yield
    finally:
        process.kill()  # what runs beside the engine ends with it
        process.wait()


def answers(shell: Shell) -> bool:
    command = ["curl", "--silent", "--fail", "localhost:5000/readyz"]
    done = subprocess.run(
        [*shell.enter, *command],
        env=dict(shell.environment),
        check=False,
        capture_output=True,
    )
    return done.returncode == 0


def make_image(shell: Shell) -> None:
    shell.ask("mkdir -p context && date > context/content.txt")
    shell.ask("printf 'FROM scratch\\nCOPY content.txt /\\n' > context/Dockerfile")
    shell.ask("docker build --tag my-image context")


def use(shell: Shell) -> None:
    """Type the README's commands; the pull is a real one."""
    make_image(shell)
    for line in USE:
        if line.startswith("docker pull"):
            shell.ask("docker rmi --force my-image localhost:5000/my-image")
        printed = shell.type(line)
    answer = printed.splitlines()[-1]  # above it curl draws its progress
    assert json.loads(answer) == {"name": "my-image", "tags": ["latest"]}
    assert shell.ask("docker images --quiet localhost:5000/my-image").strip()
    shell.ask("docker rmi --force localhost:5000/my-image")


def test_installed_by_pip_and_served(cluster: Cluster, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    programs = str(tmp_path / "venv" / "bin")
    install, serve = INSTALL
    machine = cluster.place.machine
    environment = dict(machine.environment)
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    Shell(prompt="$", enter=(), environment=environment, folder=ROOT).type(install)
    shell = shell_in(cluster.place, tmp_path, programs)
    with running(shell, serve):
        use(shell)
    assert (tmp_path / "cais-data").is_dir()


@pytest.fixture
def clean(cluster: Cluster) -> Iterator[Callable[[], None]]:
    def remove() -> None:
        shell = cluster.place.beside
        shell.ask("docker ps --all --quiet --filter volume=data | xargs -r docker rm --force")
        shell.ask("docker volume rm --force data")

    remove()
    yield remove
    remove()


@pytest.mark.usefixtures("clean")
def test_run_as_a_container_keeps_its_data_in_the_volume(cluster: Cluster, tmp_path: Path) -> None:
    (run,) = CONTAINER
    shell = shell_in(cluster.place, tmp_path)
    with running(shell, run):
        use(shell)
        shell.ask("docker ps --quiet --filter publish=5000 | xargs docker stop")
    with running(shell, run):
        listed = shell.ask(USE[-1])
        assert "my-image" in listed
