# SPDX-License-Identifier: Apache-2.0
"""Writes down all that a cluster tells while tests run, until its standard input ends.

    python3 -m e2e.witness KUBECONFIG FOLDER

Each version of each object of KINDS is a line of `FOLDER/<kind>.jsonl`; each container's log is a
file of `FOLDER/logs`, however short the pod lives. Nobody but the user may read them: the Secrets
are among them.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config

from e2e.kinds import CORE, KINDS

PAUSE = 0.5  # seconds before one begins anew
SILENCE = 300.0  # seconds after which a watch begins anew
OK = 200
NOISE = {"kube-system", "local-path-storage"}  # their pods know nothing of ours


class Witness:
    """Watches kinds, and follows the logs of the pods among them; each in a thread."""

    def __init__(self, kubeconfig: str, folder: Path) -> None:
        settings = client.Configuration()
        settings.connection_pool_maxsize = 1000  # each log that is followed has its own
        config.load_kube_config(kubeconfig, client_configuration=settings)  # type: ignore[no-untyped-call]  # it ships none
        self._client = client.ApiClient(settings)
        self._folder = folder
        self._followed: set[str] = set()

    def start(self) -> None:
        """Begin; all threads end with the process."""
        (self._folder / "logs").mkdir(parents=True, exist_ok=True)
        for kind, group in KINDS.items():
            threading.Thread(target=self._watch, args=(kind, group), daemon=True).start()

    def _watch(self, kind: str, group: str) -> None:
        """Write down every version; each beginning tells all that is there."""
        with (self._folder / f"{kind}.jsonl").open("ab", buffering=0) as out:
            while True:
                try:
                    for line in self._lines(f"{group}/{kind}?watch=1"):
                        out.write(line)
                        if kind == "pods":
                            self._follow(json.loads(line)["object"])
                except (urllib3.exceptions.HTTPError, OSError):
                    pass  # silent for long, or the API server is away; the next one tells it all
                time.sleep(PAUSE)

    def _lines(self, path: str) -> Iterator[bytes]:
        """The whole lines of an answer, until it ends or is cut off."""
        rest = b""
        for chunk in self._stream(path, SILENCE):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line + b"\n" for line in lines)

    def _stream(self, path: str, silence: float | None) -> Iterator[bytes]:
        """What is answered, as it comes; nothing if it is a refusal."""
        settings = self._client.configuration
        token = settings.get_api_key_with_prefix("BearerToken", alias="authorization")
        answer = self._client.rest_client.pool_manager.request(
            "GET",
            settings.host + path,
            headers={"Authorization": token} if token else {},
            preload_content=False,
            retries=False,
            timeout=urllib3.Timeout(connect=10, read=silence),
        )
        try:
            if answer.status == OK:
                yield from answer.stream(decode_content=False)
        finally:
            answer.close()

    def _follow(self, pod: dict[str, Any]) -> None:
        """Follow each container that has begun and is not followed yet, and the one before it."""
        metadata = pod.get("metadata") or {}
        if metadata.get("namespace") in {None, *NOISE}:
            return
        path = f"{CORE}/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
        status = pod.get("status") or {}
        for kind in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
            for one in status.get(kind) or ():
                name = f"{metadata['namespace']}_{metadata['name']}_{one['name']}"
                for query, identity in _begun(one):
                    if identity not in self._followed:
                        self._followed.add(identity)
                        args = (f"{path}?{query}&container={one['name']}", name, identity)
                        threading.Thread(target=self._log, args=args, daemon=True).start()

    def _log(self, path: str, name: str, identity: str) -> None:
        """Write down a log; one that was cut off is asked for when its pod changes again."""
        file = self._folder / "logs" / f"{name}_{time.time_ns()}"
        try:
            with file.open("wb", buffering=0) as out:
                for chunk in self._stream(path, None):
                    out.write(chunk)
        except (urllib3.exceptions.HTTPError, OSError):
            self._followed.discard(identity)


def _begun(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """How to ask for the logs of a container and of the one before it, each with its identity."""
    last = (status.get("lastState") or {}).get("terminated") or {}
    if last.get("containerID"):
        yield "previous=1", last["containerID"]
    if status.get("containerID") and "waiting" not in (status.get("state") or {}):
        yield "follow=1", status["containerID"]


def main() -> None:
    """Write down what comes until nobody is there any more who started this."""
    os.umask(0o077)
    Witness(sys.argv[1], Path(sys.argv[2])).start()
    sys.stdin.read()
    os._exit(0)  # threads are in the middle of their reading


if __name__ == "__main__":
    main()
