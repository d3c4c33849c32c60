# SPDX-License-Identifier: Apache-2.0
"""A ready Registry with users, for tests of their passwords."""

from typing import Any

import bcrypt

from cais_operator import names
from operator_builders import secret, with_users
from support.operator_bench import KEY, Bench, bench

ALICE = {"name": "alice", "passwordSecretRef": {"name": "hers"}}
SPEC = with_users({"name": "ci"}, ALICE)
SECRETS = {
    "ci": "team-user-ci",
    "admin": "team-admin",
    "pull": "team-pull",
    "cais-gc": "team-gc",
}


async def ready(spec: dict[str, Any] | None = None) -> Bench:
    made = bench(spec or SPEC)
    made.cluster.put({"kind": "Secret", **secret(password="hers"), "metadata": {"name": "hers"}})
    await made.settle()
    made.run_pods()
    made.load()
    await made.operator().reconcile(KEY)
    assert made.condition("Ready")["status"] == "True"
    return made


def annotate(made: Bench, users: str) -> None:
    live = made.cluster.objects[names.KIND, "team-a", "team"]
    live["metadata"] = {**live["metadata"], "annotations": {names.ROTATE: users, "theirs": "x"}}


def annotations(made: Bench) -> dict[str, str]:
    live = made.cluster.objects[names.KIND, "team-a", "team"]
    found: dict[str, str] = live["metadata"].get("annotations") or {}
    return found


def lets_in(made: Bench, user: str, password: str) -> bool:
    """Whether the file that the server reads now lets a user in."""
    lines = made.text("team-users", "htpasswd").splitlines()
    hashes = [hashed for name, _, hashed in (line.partition(":") for line in lines) if name == user]
    assert len(hashes) <= 2
    return any(bcrypt.checkpw(password.encode(), hashed.encode()) for hashed in hashes)


def data(made: Bench, name: str) -> dict[str, str]:
    found: dict[str, str] = made.cluster.objects["Secret", "team-a", name]["data"]
    return found
