# SPDX-License-Identifier: Apache-2.0
"""What the witness of a run has written down, from its beginning to its end."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clusterkit.places import places
from e2e.kinds import KINDS
from support.leaks import Leak

TESTS = Path(__file__).parents[1]
SECRETS = "secrets"
LOG = "log of"


class Evidence:
    """A folder of what was told while the tests ran; each session of the run adds to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def remove(self) -> None:
        """Forget all of it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, kubeconfig: Path) -> subprocess.Popen[bytes]:
        """Let a witness write down what comes, until its standard input is closed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        session = self._folder / str(os.getpid())
        command = [sys.executable, "-m", "e2e.witness", str(kubeconfig), str(session)]
        errors = self._folder / f"{os.getpid()}.errors"
        with errors.open("wb") as out:
            pipe = subprocess.PIPE
            return subprocess.Popen(command, cwd=TESTS, stdin=pipe, stdout=out, stderr=out)

    def errors(self) -> str:
        """What the witnesses complained about."""
        return "".join(file.read_text() for file in sorted(self._folder.glob("*.errors")))

    def secrets(self) -> list[dict[str, Any]]:
        """Every version of every Secret."""
        return [
            found["object"]
            for file in self._folder.glob(f"*/{SECRETS}.jsonl")
            for found in map(json.loads, _whole_lines(file))
            if found["type"] in {"ADDED", "MODIFIED", "DELETED"}
        ]

    def texts(self, session: str = "*") -> dict[str, str]:
        """What everybody may come to read: logs, and all objects but Secrets, by where.

        Args:
            session: The process id of one; all of the run by default.
        """
        found = {
            f"{file.parent.name}/{file.stem}": "".join(_whole_lines(file))
            for file in self._folder.glob(f"{session}/*.jsonl")
            if file.stem != SECRETS
        }
        logs = {
            f"{LOG} {file.name}": file.read_text(errors="replace")
            for file in self._folder.glob(f"{session}/logs/*")
        }
        return found | logs


def evidence() -> Evidence:
    """What the run of this user's cluster has left so far."""
    return Evidence(places().run / "e2e-evidence")


def report(leak: Leak, texts: Mapping[str, str]) -> str:
    """Say which secret stands where, by the name of the object if it is one; never the secret."""
    where = f"{leak.where}, line {leak.line}"
    line = texts[leak.where].split("\n")[leak.line - 1]
    if leak.where.rpartition("/")[2] in KINDS:
        metadata = json.loads(line)["object"].get("metadata") or {}
        where = f"{leak.where} {metadata.get('namespace')}/{metadata.get('name')}"
    return f"{leak.secret} stands in {where}: {leak.excerpt}"


def _whole_lines(file: Path) -> list[str]:
    """The lines of a file that is still written."""
    whole, _, _ = file.read_text(errors="replace").rpartition("\n")
    return [line + "\n" for line in whole.split("\n")] if whole else []
