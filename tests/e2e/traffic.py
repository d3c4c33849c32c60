# SPDX-License-Identifier: Apache-2.0
"""Traffic beside a test: pushes and pulls that go on, and what came of each."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.kit import Tenant, until

STEADY = Path(__file__).parent / "steady.py"
RATES = {"pushes": 4, "pulls": 20}  # each second


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Traffic that goes on."""

    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """What came of each push and pull so far."""
        text = self.log.read_text() if self.log.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def failed(self) -> list[dict[str, Any]]:
        """What was not good."""
        return [line for line in self.lines() if line["outcome"] != "ok"]

    def wait_for(self, what: str, outcome: str) -> None:
        """Wait until three more, begun from now on, end so."""
        seen = len(self.lines())

        def found() -> int:
            new = (line for line in self.lines()[seen + 2 :] if line["what"] == what)
            return sum(outcome in line["outcome"] for line in new)

        until(found, lambda count: count >= 3)


@contextmanager
def steady(tenant: Tenant, folder: Path, login: str = "") -> Iterator[Load]:
    """Push and pull while the body runs; no request is sent twice.

    Args:
        tenant: Whose registry; `ca.crt` is written (`Tenant.trust`).
        folder: For what is written down; made when it is not there.
        login: `user:password`; the administrator's when empty.
    """
    folder.mkdir(exist_ok=True)
    config = {
        "host": f"{tenant.name}.{tenant.namespace}.svc",
        "port": 5000,
        "ca": str(tenant.cluster.place.work / "ca.crt"),
        "login": login or "admin:" + tenant.secret(f"{tenant.name}-admin", "password"),
        "stop": str(folder / "stop"),
        "log": str(folder / "log"),
        **RATES,
    }
    (folder / "config.json").write_text(json.dumps(config))
    shell = tenant.cluster.place.beside
    command = [*shell.enter, "python3", str(STEADY), str(folder / "config.json")]
    process = subprocess.Popen(command, env=dict(shell.environment), stdin=subprocess.DEVNULL)
    try:
        yield Load(log=folder / "log")
    finally:
        (folder / "stop").touch()
        assert process.wait(120) == 0
