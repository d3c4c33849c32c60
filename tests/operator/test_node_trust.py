# SPDX-License-Identifier: Apache-2.0
"""The program on a node: a mounted document, a folder of the node, a state file."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cais_operator.node_trust.entries import FILE, Entry, encode
from cais_operator.node_trust.hosts import HOSTS
from cais_operator.node_trust.node import Node, Options
from operator_builders import authority
from support.apiserver import wait_for

GOOD = "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '{}'\n"


class Place:
    """A node in a folder; the document is mounted as the kubelet does it."""

    def __init__(self, folder: Path) -> None:
        self.mount, self.certs = folder / "nodes", folder / "certs.d"
        self.config, self.state = folder / "config.toml", folder / "problems"
        self.mount.mkdir()
        self.certs.mkdir()
        self.config.write_text(GOOD.format(self.certs))

    def publish(self, *names: str, text: str | None = None) -> None:
        """Swap the document by the kubelet's link `..data`."""
        entries = [
            Entry(
                namespace="team-a",
                name=name,
                addresses=("10.96.7.7",),
                port=5000,
                authority=authority().bundle,
            )
            for name in names
        ]
        new = self.mount / f"..{len(list(self.mount.iterdir()))}"
        new.mkdir()
        (new / FILE).write_text(encode(entries)[0] if text is None else text)
        (self.mount / "..new").symlink_to(new.name)
        (self.mount / "..new").replace(self.mount / "..data")
        if not (self.mount / FILE).is_symlink():
            (self.mount / FILE).symlink_to(f"..data/{FILE}")

    def options(self, **changes: Any) -> Options:
        given: dict[str, Any] = {
            "document": self.mount / FILE,
            "directory": self.certs,
            "config": self.config,
            "state": self.state,
            "domain": "cluster.local",
            "owner": "cais-system/cais-nodes",
        }
        return Options(**(given | changes))

    def hosts(self) -> set[str]:
        return {path.name.partition(".")[0] for path in self.certs.iterdir()}

    @contextmanager
    def program(self, *more: str) -> Iterator[subprocess.Popen[str]]:
        flags = [
            f"--document={self.mount / FILE}",
            f"--directory={self.certs}",
            f"--config={self.config}",
            f"--state={self.state}",
        ]
        command = [sys.executable, "-m", "cais_operator", "node-trust", *flags, *more]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_node_follows_the_document(place: Place) -> None:
    node = Node(place.options())
    for names in (("team",), ("team", "other"), ("other",), ()):
        place.publish(*names)
        assert node.look() == []
        assert place.hosts() == set(names)
        assert place.state.read_text() == ""


def test_without_a_document_that_can_be_used_nothing_changes(place: Place) -> None:
    place.publish("team")
    node = Node(place.options())
    node.look()
    for text in ("", "{}", '{"version": 2}'):
        place.publish(text=text)
        (problem,) = node.look()
        assert "nothing was done" in problem
        assert place.state.read_text() == f"{problem}\n"
    (place.mount / FILE).unlink()
    assert "not said yet" in node.look()[0]
    assert place.hosts() == {"team"}


def test_where_containerd_does_not_look_nothing_is_written_and_it_is_said(place: Place) -> None:
    place.publish("team")
    place.config.write_text("version = 3\n")
    node = Node(place.options())
    assert "set config_path" in node.look()[0]
    assert "set config_path" in place.state.read_text()
    assert place.hosts() == set()
    assert Node(place.options(config=None)).look() == []
    assert place.hosts() == {"team"}


def test_removing_takes_away_what_was_written_and_nothing_else(place: Place) -> None:
    place.publish("team")
    Node(place.options()).look()
    (place.certs / "docker.io").mkdir()
    assert Node(place.options(remove=True, config=Path("/nowhere"))).look() == []
    assert place.hosts() == {"docker"}


def test_many_problems_are_told_in_few_lines(place: Place) -> None:
    names = [f"t{number}" for number in range(12)]
    for name in names:
        (place.certs / f"{name}.team-a.svc:5000").mkdir()
    place.publish(*names)
    assert len(Node(place.options()).look()) == 12
    lines = place.state.read_text().splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 2 more"


def test_the_program_follows_a_swap_and_leaves_everything_when_it_is_ended(place: Place) -> None:
    place.publish("team")
    with place.program() as process:
        wait_for(place.state.exists, "the state is told")
        assert place.hosts() == {"team"}
        place.publish("team", "other")
        wait_for(lambda: place.hosts() == {"team", "other"}, "the swap is followed")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert place.hosts() == {"team", "other"}
    assert (place.certs / "team.team-a.svc:5000" / HOSTS).exists()


def test_the_program_is_small(place: Place) -> None:
    place.publish("team")
    with place.program() as process:
        wait_for(place.state.exists, "the state is told")
        status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    assert int(line.split()[1]) < 40 * 1024, line  # KiB; the operator itself takes more than twice


def test_a_path_that_is_not_absolute_is_refused() -> None:
    command = [sys.executable, "-m", "cais_operator", "node-trust", "--directory=certs.d"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'certs.d' is not an absolute path" in done.stderr
