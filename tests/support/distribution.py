# SPDX-License-Identifier: Apache-2.0
"""Runs CNCF Distribution registries, old and new, and fills them."""

from __future__ import annotations

import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import programs
from support.layout import DOCKER, make_image, make_index
from support.registry import DEADLINE, wait_until

BIN = programs.cache_folder() / "bin"
PROGRAMS = {"2.8": Path("/usr/bin/docker-registry"), "3": BIN / "distribution"}
_CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextmanager
def registry(program: Path, folder: Path) -> Iterator[str]:
    """Run another registry over a folder; yields host and port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder.with_suffix(".yml")
    config.write_text(_CONFIG.format(folder=folder, port=port))
    with folder.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen([program, "serve", config], stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(port), what="the other registry answers")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def crane(*arguments: str | Path) -> str:
    ended = subprocess.run(
        [BIN / "crane", *arguments, "--insecure"],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return ended.stdout.strip()


def fill(host: str, folder: Path) -> dict[str, str]:
    """Push some images; returns digests by reference."""
    make_image(folder / "image", "hello", layers=3)
    make_index(folder / "index", "hello")
    make_image(folder / "schema2", "docker", kinds=DOCKER)
    make_index(folder / "list", "docker", kinds=DOCKER)
    found = {}
    for layout, reference in (
        ("image", "hello:v1"),
        ("image", "deep/er/hello:v1"),
        ("index", "deep/er/hello:all"),
        ("schema2", "hello:schema2"),
        ("list", "deep/er/hello:list"),
    ):
        crane("push", folder / layout, f"{host}/{reference}")
        found[reference] = crane("digest", f"{host}/{reference}")
    crane("mutate", f"{host}/hello:v1", "--tag", f"{host}/hello:v2", "--label", "a=b")
    found["hello:v2"] = crane("digest", f"{host}/hello:v2")
    return found
