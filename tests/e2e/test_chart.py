# SPDX-License-Identifier: Apache-2.0
"""`helm test`, as the README tells people to check an installation."""

import re
import shlex
from functools import partial

from demo.place import ROOT
from e2e.kit import Cluster, until

SYSTEM = "cais-system"


def command() -> list[str]:
    """What the README tells people to type."""
    (typed,) = re.findall(r"`(helm test [^`]+)`", (ROOT / "README.md").read_text())
    return shlex.split(typed)


def test_helm_test_pushes_and_pulls_and_leaves_nothing(cluster: Cluster) -> None:
    answer = cluster.run(*command())
    assert answer.code == 0, answer.out + answer.err
    assert re.findall(r"Phase: +(\w+)", answer.out) == ["Succeeded", "Succeeded"]
    for kind in ("registry", "pod", "persistentvolumeclaim"):
        left = partial(cluster.kubectl, "get", kind, "-n", SYSTEM, "-o", "name")
        until(left, lambda names: "cais-test" not in names)
