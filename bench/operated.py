# SPDX-License-Identifier: Apache-2.0
"""The operator as a process that is measured, and Registries for it in a real API server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from audited import Request

from support.apiserver import ApiServer, free_port, running
from support.operators import GROUP, Operator

SYSTEM: Final = "cais-system"
EACH: Final = 10  # Registries of a namespace
_CLIENTS: Final = 4
Done = Callable[[list[Request]], bool]
_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process has taken so far.

    Attributes:
        rss: MiB that are resident.
        peak: The most that ever were.
        cpu: Seconds of processor time.
    """

    rss: float
    peak: float
    cpu: float


def usage(pid: int) -> Usage:
    """Ask the kernel."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Vm")}
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(times[11]) + int(times[12])) / _TICK
    return Usage(rss=kib["VmRSS"] / 1024, peak=kib["VmHWM"] / 1024, cpu=cpu)


@contextmanager
def operator(
    api: ApiServer,
    folder: Path,
    *arguments: str,
    program: tuple[str, ...] = ("-m", "cais_operator"),
) -> Iterator[Operator]:
    """Start it for all namespaces; it is asked to end, and has to."""
    port = free_port()
    command = [
        *(sys.executable, *program, "run", f"--kubeconfig={api.kubeconfig}"),
        f"--system-namespace={SYSTEM}",
        f"--health-listen=127.0.0.1:{port}",
        "--log-format=json",
        *arguments,
    ]
    log = folder / "operator.log"
    with running(command, log) as process:
        yield Operator(process=process, health=f"http://127.0.0.1:{port}", log=log)
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def spaces(count: int) -> list[str]:
    """Namespaces for so many Registries."""
    return [f"team-{number:04}" for number in range((count + EACH - 1) // EACH)]


def keys(count: int) -> list[tuple[str, str]]:
    """Namespace and name of each."""
    return [(f"team-{number // EACH:04}", f"r{number % EACH}") for number in range(count)]


def path(namespace: str, name: str = "") -> str:
    """Of a Registry, or of all of a namespace."""
    base = f"{GROUP}/namespaces/{namespace}/registries"
    return f"{base}/{name}" if name else base


def create_one(api: ApiServer, key: tuple[str, str]) -> None:
    """Create one, with a user."""
    api.request(
        "POST",
        path(key[0]),
        {
            "apiVersion": "cais.dev/v1alpha1",
            "kind": "Registry",
            "metadata": {"name": key[1]},
            "spec": {"access": {"users": [{"name": "ci"}]}},
        },
    )


def at_once(act: Callable[[Any], object], whom: list[Any]) -> None:
    """Do it to each, a few at a time."""
    with ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(act, whom))


def is_idle(one: Operator) -> bool:
    """Whether nothing waits in its queue."""
    lines = one.fetch("/metrics")[1].splitlines()
    depth = [line.split()[-1] for line in lines if line.startswith("cais_queue_depth")]
    return depth == ["0.0"]
