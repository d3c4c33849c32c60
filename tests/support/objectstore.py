# SPDX-License-Identifier: Apache-2.0
"""Runs a real S3 server (versitygw over a folder) on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import programs
from support.registry import wait_until

ACCESS, SECRET, BUCKET = "tester", "not-a-secret", "blobs"


@dataclass(frozen=True)
class S3Server:
    """A running store with one bucket.

    Attributes:
        endpoint: Where it listens.
        folder: Where its objects are, as files.
        process: The store.
    """

    endpoint: str
    folder: Path
    process: subprocess.Popen[bytes]

    def settings(self, folder: Path, **more: Any) -> dict[str, Any]:
        """The block `storage` for it; writes the files of its keys."""
        (folder / "access").write_text(ACCESS)
        (folder / "secret").write_text(SECRET)
        keys = {"accessKeyFile": str(folder / "access"), "secretKeyFile": str(folder / "secret")}
        return {"s3": {"bucket": BUCKET, "endpoint": self.endpoint, **keys, **more}}


@contextmanager
def s3_running(folder: Path) -> Iterator[S3Server]:
    """Start the store; its program is built unless it is there."""
    subprocess.run([sys.executable, programs.__file__, "versitygw"], check=True)
    (folder / "buckets" / BUCKET).mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "s3.log").open("wb") as log:
        process = subprocess.Popen(
            [programs.cache_folder() / "bin" / "versitygw", "--port", address, "--quiet", "posix",
             folder / "buckets"],
            stdout=log, stderr=log,
            env=os.environ | {"ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET},
        )  # fmt: skip
    try:
        wait_until(lambda: _listens(address), what="the object store listens")
        yield S3Server(f"http://{address}", folder / "buckets" / BUCKET, process)
    finally:
        process.terminate()
        process.wait()


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
