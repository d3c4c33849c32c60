# SPDX-License-Identifier: Apache-2.0
"""Clients that build images and push them: buildkit with its cache, buildah."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.registry import DEADLINE, OCI_IMAGE, OCI_INDEX, wait_until

DOCKERFILE = "FROM scratch\nCOPY hello /hello\nCOPY other /other\n"


@contextmanager
def buildkit(place: Any, folder: Path) -> Iterator[tuple[str, ...]]:
    """Run buildkitd in a folder of its own; yields how its client is called."""
    address = f"unix://{folder}/buildkitd.sock"
    config = folder / "buildkitd.toml"
    config.write_text(f'[registry."{place.host}"]\nhttp = false\nca = ["{place.ca}"]\n')
    worker = ("--containerd-worker=false", "--oci-worker-snapshotter=native")
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [
                "buildkitd",
                "--config",
                config,
                "--root",
                folder / "root",
                "--addr",
                address,
                *worker,
            ],
            env={**place.environment, "XDG_RUNTIME_DIR": str(folder)},
            stdout=log,
            stderr=log,
        )
    client = ("buildctl", "--addr", address)
    try:
        wait_until(lambda: _answers(place, client), what="buildkitd answers")
        yield client
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _answers(place: Any, client: tuple[str, ...]) -> bool:
    ended = subprocess.run(
        [*client, "debug", "workers"], env=place.environment, capture_output=True, check=False
    )
    return ended.returncode == 0


@pytest.mark.parametrize(
    ("as_image", "kind"), [("true", OCI_IMAGE), ("false", OCI_INDEX)], ids=["image", "index"]
)
def test_buildkit_keeps_its_cache_in_the_registry(
    place: Any, short_folder: Path, as_image: str, kind: str
) -> None:
    """As an image, or as older ones do: as an index whose entries are layers."""
    source = place.folder / "source"
    source.mkdir()
    (source / "Dockerfile").write_text(DOCKERFILE)
    (source / "hello").write_text("hello")
    (source / "other").write_text("other")
    build = ("build", "--frontend", "dockerfile.v0", "--progress", "plain")
    local = ("--local", f"context={source}", "--local", f"dockerfile={source}")
    cache = f"type=registry,ref={place.host}/team/cache:v1"
    image = f"type=image,name={place.host}/team/hello:v1,push=true"
    told = place.folder / "told.json"
    with buildkit(place, short_folder) as client:
        export = (
            "--export-cache",
            f"{cache},mode=max,image-manifest={as_image}",
            "--output",
            image,
        )
        place.run(*client, *build, *local, *export, "--metadata-file", told)
        digest = json.loads(told.read_text())["containerimage.digest"]
        assert place.digest("team/hello", "v1") == digest
        kept = place.server.ask("GET", "/v2/team/cache/manifests/v1")
        assert kept["Content-Type"] == kind
        assert "buildkit.cacheconfig" in kept.body.decode()
        place.run(*client, "prune", "--all")
        again = (*build, *local, "--import-cache", cache, "--output", image)
        assert "CACHED" in place.shown(*client, *again)
        place.run("crane", "validate", "--remote", f"{place.host}/team/hello:v1")
        place.run(*client, "prune", "--all")
        place.run("crane", "delete", f"{place.host}/team/cache:v1")
        assert "CACHED" not in place.shown(*client, *again)
    place.run("crane", "delete", f"{place.host}/team/hello:v1")
    assert place.digest("team/hello", "v1") is None


def test_buildah_builds_pushes_and_pulls(place: Any) -> None:
    store = ("--storage-driver", "vfs", "--root", place.folder / "root", "--runroot")
    buildah = ("buildah", *store, place.folder / "runroot")
    (place.folder / "hello").write_text("hello")
    container = place.run(*buildah, "from", "scratch").strip()
    place.run(*buildah, "copy", container, "hello", "/hello")
    image = f"{place.host}/team/hello:v1"
    place.run(*buildah, "commit", "--rm", container, image)
    place.run(*buildah, "push", "--digestfile", "digest", image)
    digest = place.digest("team/hello", "v1")
    assert digest == (place.folder / "digest").read_text()
    place.run(*buildah, "rmi", "--all")
    place.run(*buildah, "pull", f"{place.host}/team/hello@{digest}")
    assert "team/hello" in place.run(*buildah, "images")
    place.run("skopeo", "delete", f"docker://{image}")
    assert place.digest("team/hello", digest) is None
    place.run(*buildah, "rmi", "--all")
    assert "manifest unknown" in place.shown(*buildah, "pull", image, fails=True).lower()
