# SPDX-License-Identifier: Apache-2.0
"""Runs the load generators (wrk, curl, and our own head and push) and reads what they measured."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from peers import Peer

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1000.0, "B": 1.0, "KB": 2.0**10, "MB": 2.0**20, "GB": 2.0**30}
ACCEPT = "application/vnd.oci.image.manifest.v1+json"
_BUILD = Path(__file__).resolve().parents[1] / "build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gets:
    """What wrk saw: requests and bytes each second, percentiles in milliseconds."""

    rate: float
    bytes_rate: float
    p50: float
    p99: float


def gets(url: str, *, connections: int = 16, seconds: float = 3.0, login: str = "") -> Gets:
    """GET one address over and over, from one thread."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "--latency"]
    headers = [f"-H{name}: {value}" for name, value in authorization(login).items()]
    text = _run([*command, f"-HAccept: {ACCEPT}", *headers, url])
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"{url}: {text}")
    return Gets(
        rate=float(_found(r"Requests/sec:\s+([0-9.]+)", text)),
        bytes_rate=_quantity(_found(r"Transfer/sec:\s+(\S+)", text)),
        p50=_quantity(_found(r"\n\s+50%\s+(\S+)", text)),
        p99=_quantity(_found(r"\n\s+99%\s+(\S+)", text)),
    )


def heads(url: str, *, connections: int = 16, seconds: float = 3.0) -> float:
    """HEAD one address over and over; requests each second."""
    flags = [f"-connections={connections}", f"-seconds={seconds:g}", f"-accept={ACCEPT}"]
    found = json.loads(_run([str(_BUILD / "bench-head"), f"-url={url}", *flags]))
    return float(found["requests"] / found["seconds"])


def download(url: str) -> float:
    """One GET of a large file; bytes each second."""
    took = _run(["curl", "-sk", "-o", "/dev/null", "-f", "-w", "%{speed_download}", url])
    return float(took)


def push_command(peer: Peer, **options: float | bool) -> list[str]:
    """The command that pushes to a registry."""
    flags = [f"-{name}={str(value).lower()}" for name, value in options.items()]
    program = _BUILD / "bench-push"
    return [str(program), f"-url={peer.url}", f"-user={peer.login}", *flags]


def push(peer: Peer, **options: float | bool) -> dict[str, float]:
    """Push until the time is over; see push/main.go."""
    found: dict[str, float] = json.loads(_run(push_command(peer, **options)))
    return found


@contextmanager
def pushing(peer: Peer, **options: float | bool) -> Iterator[dict[str, float]]:
    """Push while the body runs; the dictionary has what `push` returns once that has ended."""
    command = push_command(peer, seconds=0, **options)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = {}
    try:
        yield found
    finally:
        output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {process.returncode}")
    found.update(json.loads(output))


def pss_kib(pid: int) -> int:
    """Proportional set size of one process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(_found(r"Pss:\s+(\d+)", text))


def authorization(login: str) -> dict[str, str]:
    """The header for a user and password, or for a token after `Bearer`; none for nobody."""
    if login.startswith("Bearer "):
        return {"Authorization": login}
    encoded = base64.b64encode(login.encode()).decode()
    return {"Authorization": f"Basic {encoded}"} if login else {}


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"no {pattern!r} in {text}")
    return match[1]


def _quantity(text: str) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", text).groups()  # type: ignore[union-attr] # wrk writes it so
    return float(number) * _UNITS[unit]
