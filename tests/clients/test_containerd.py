# SPDX-License-Identifier: Apache-2.0
"""containerd, as Debian has it and as the nodes here have it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import programs
from cais_operator.node_trust.entries import Entry
from cais_operator.node_trust.folder import Folder
from cais_operator.node_trust.hosts import files
from support.layout import make_image
from support.registry import DEADLINE, wait_until

OURS = programs.cache_folder() / "bin"
DEBIAN = Path("/usr/bin")
_CONFIG = """\
version = {version}
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images",
  "io.containerd.cri.v1.runtime"]
root = "{folder}/root"
state = "{folder}/state"
[grpc]
address = "{folder}/containerd.sock"
"""
# layers in parallel parts, each a request for a range
_PARALLEL = """
[plugins."io.containerd.transfer.v1.local"]
concurrent_layer_fetch_buffer = 1048576
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
platform = "linux"
snapshotter = "native"
"""


@contextmanager
def containerd(place: Any, programs_in: Path, folder: Path) -> Iterator[tuple[str | Path, ...]]:
    """Run containerd in a folder of its own; yields how its client is called."""
    version, more = (3, _PARALLEL) if programs_in == OURS else (2, "")
    (folder / "config.toml").write_text(_CONFIG.format(folder=folder, version=version) + more)
    with (folder / "log").open("wb") as log:
        command = [str(programs_in / "containerd"), "--config", str(folder / "config.toml")]
        process = subprocess.Popen(command, env=place.environment, stdout=log, stderr=log)
    client = (programs_in / "ctr", "--address", folder / "containerd.sock")
    try:
        wait_until(lambda: _answers(place, client), what="containerd answers")
        yield client
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _answers(place: Any, client: tuple[str | Path, ...]) -> bool:
    ended = subprocess.run(
        [*map(str, client), "version"], env=place.environment, capture_output=True, check=False
    )
    return ended.returncode == 0


def trust(place: Any, host: str, text: str) -> None:
    """Tell containerd how a host is reached."""
    folder = place.folder / "certs.d" / host
    folder.mkdir(parents=True)
    (folder / "hosts.toml").write_text(text)


@pytest.mark.parametrize("place", ["password", "token"], indirect=True)
@pytest.mark.parametrize("programs_in", [DEBIAN, OURS], ids=["1.6", "2.4"])
def test_containerd_pushes_and_pulls(place: Any, short_folder: Path, programs_in: Path) -> None:
    digest = make_image(place.folder / "source", "hello", layers=3, size=12 << 20)
    trust(place, place.host, f'[host."https://{place.host}"]\n  ca = "{place.ca}"\n')
    first, second = f"{place.host}/team/hello:v1", f"{place.host}/team/other:v1"
    place.run("crane", "push", place.folder / "source", first)
    login = ("--user", place.server.login, "--hosts-dir", place.folder / "certs.d")
    with containerd(place, programs_in, short_folder) as ctr:
        place.run(*ctr, "images", "pull", "--snapshotter", "native", *login, first)
        assert digest in place.run(*ctr, "images", "ls")
        place.run(*ctr, "images", "tag", first, second)
        place.run(*ctr, "images", "push", *login, second)
        assert place.digest("team/other", "v1") == digest
        place.run("crane", "delete", f"{place.host}/team/other@{digest}")
        pull = ("images", "pull", "--snapshotter", "native")
        place.shown(*ctr, *pull, *login, second, fails=True)
    requests = [line for line in place.server.lines() if "/blobs/" in str(line.get("path"))]
    statuses = {line["status"] for line in requests if line["method"] == "GET"}
    assert (206 in statuses) == (programs_in == OURS)


@pytest.mark.parametrize("programs_in", [DEBIAN, OURS], ids=["1.6", "2.4"])
def test_containerd_pulls_through_a_mirror_and_names_the_registry_it_stands_for(
    place: Any, short_folder: Path, programs_in: Path
) -> None:
    digest = make_image(place.folder / "source", "hello")
    place.run("crane", "push", place.folder / "source", f"{place.host}/team/hello:v1")
    mirror = f'[host."https://{place.host}"]\n  ca = "{place.ca}"\n'
    can = '  capabilities = ["pull", "resolve"]\n'
    trust(place, "registry.example", f'server = "https://registry.example"\n{mirror}{can}')
    login = ("--user", place.server.login, "--hosts-dir", place.folder / "certs.d")
    with containerd(place, programs_in, short_folder) as ctr:
        pull = ("images", "pull", "--snapshotter", "native")
        place.run(*ctr, *pull, *login, "registry.example/team/hello:v1")
        assert digest in place.run(*ctr, "images", "ls")

    def asked_for() -> set[object]:
        lines = [line for line in place.server.lines() if "containerd" in str(line)]
        return {line.get("ns") for line in lines if "/team/hello/" in str(line.get("path"))}

    assert wait_until(asked_for, what="the pulls are logged") == {"registry.example"}


@pytest.mark.parametrize("programs_in", [DEBIAN, OURS], ids=["1.6", "2.4"])
def test_containerd_pulls_by_the_files_that_the_operators_pod_writes_on_a_node(
    place: Any, short_folder: Path, programs_in: Path
) -> None:
    digest = make_image(place.folder / "source", "hello")
    place.run("crane", "push", place.folder / "source", f"{place.host}/team/hello:v1")
    address, _, port = place.host.rpartition(":")
    authority = Path(place.ca).read_text()
    entry = Entry(
        namespace="team-a", name="team", addresses=(address,), port=int(port), authority=authority
    )
    certs = place.folder / "certs.d"
    certs.mkdir()
    owner = "cais-system/cais-nodes"
    written = files([entry], directory=certs, domain="cluster.local", owner=owner)
    assert Folder(certs, owner).bring(written) == []
    login = ("--user", place.server.login, "--hosts-dir", certs)
    plain = {name: text for name, text in place.environment.items() if name != "SSL_CERT_FILE"}
    place = replace(place, environment=plain)
    with containerd(place, programs_in, short_folder) as ctr:
        for host in entry.hosts("cluster.local"):
            pull = ("images", "pull", "--snapshotter", "native")
            place.run(*ctr, *pull, *login, f"{host}/team/hello:v1")
            assert digest in place.run(*ctr, "images", "ls", f"name=={host}/team/hello:v1")
        assert Folder(certs, owner).bring({}) == []
        place.shown(*ctr, *pull, *login, f"{host}/team/hello:v1", fails=True)
