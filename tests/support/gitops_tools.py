# SPDX-License-Identifier: Apache-2.0
"""What GitOps tools make of an object: their own code judges it, with the files that we ship."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
PROGRAM = REPOSITORY / "build/gitops"
HEALTH = REPOSITORY / "gitops/argo-cd/health.lua"
EXPRESSIONS = REPOSITORY / "gitops/flux/health-checks.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Of one object.

    Attributes:
        kstatus: Of the kstatus library: Current, InProgress, Failed, Terminating.
        flux: Of Flux with our expressions: the same words.
        argo: Of Argo CD with our script: Healthy, Progressing, Degraded, Suspended.
        message: What Argo CD shows.
    """

    kstatus: str
    flux: str
    argo: str
    message: str


def verdicts(objects: Sequence[dict[str, Any]]) -> list[Verdict]:
    """Let all of them judge each object."""
    assert PROGRAM.exists(), f"{PROGRAM} is missing: run make gitops-tools"
    answer = subprocess.run(
        [str(PROGRAM), str(HEALTH), str(EXPRESSIONS)],
        input=json.dumps(objects).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    return [Verdict(**one) for one in json.loads(answer.stdout)]
