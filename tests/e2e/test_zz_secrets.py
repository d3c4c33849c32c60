# SPDX-License-Identifier: Apache-2.0
"""No secret that the run used stands where it must not: not in a log, an object or a process.

It comes last, and looks at what the witness of the run has written down: each version of each
Secret and of each other object, and the log of each container. A secret of its own, which it tells
everywhere, shows that it would be found.
"""

import json
import os
import secrets
from collections import Counter
from collections.abc import Mapping

import pytest

from clusterkit.places import NODE
from demo.garbage import JOB
from demo.names import NAMESPACE, REGISTRY
from e2e.evidence import evidence, report
from e2e.kinds import KINDS
from e2e.kit import Cluster, Tenant, until
from e2e.pods import restricted
from support.leaks import SHORTEST, Leak, leaks
from support.secret_values import values

pytestmark = pytest.mark.alone
TOLD = "canary"  # the secret that this test tells
USED = {  # what a run of all tests uses; Secret and key
    "cais-ca/tls.key (private key)",
    "cais-ca/next.key (private key)",
    "team-tls/tls.key (private key)",
    "team-token-keys/keys (private key)",
    "team-admin/password",
    "team-gc/password",
    "team-pull/password",
    "team-pull/.dockerconfigjson (auth)",
    "team-user-ci/password",
    "team-user-ci/previous-password",
    "team-users/htpasswd (bcrypt hash)",
    "team-users/fingerprints",
    "team-access/accounts",
    "registry/password",
    "registry/.dockerconfigjson (auth)",
    "own/tls.key (private key)",
}
LOGS = {  # whose logs a run of all tests has; namespace and how the pod's name goes on
    "cais-system_cais-operator-",
    "cais-system_cais-node-trust-",
    f"{NAMESPACE}_{REGISTRY}-",
    f"{NAMESPACE}_{JOB}-",
}
PROCESSES = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"


def tell(tenant: Tenant, value: str) -> None:
    """Tell a secret in an Event, a pod, a log, a command line, and encoded in a ConfigMap."""
    metadata = {"name": TOLD, "namespace": tenant.namespace}
    about = {"kind": "Namespace", "name": tenant.namespace, "namespace": tenant.namespace}
    registry = tenant.cluster.get("deployment", REGISTRY, NAMESPACE) or {}
    image = registry["spec"]["template"]["spec"]["containers"][0]["image"]
    command = ["sh", "-c", 'echo "$0"; sleep 600', value]
    container = {"name": "app", "image": image, "command": command}
    objects = (
        {"kind": "Secret", "stringData": {"password": value}},
        {"kind": "ConfigMap", "data": {"login": json.dumps({"url": f"https://ci:{value}@host"})}},
        {"kind": "Event", "involvedObject": about, "message": f"it is {value}", "type": "Normal"},
        {"kind": "Pod", "spec": restricted(container, terminationGracePeriodSeconds=0)},
    )
    for one in objects:
        answer = tenant.cluster.apply({"apiVersion": "v1", "metadata": metadata, **one})
        assert answer.code == 0, answer.err


def heard(value: str) -> set[str]:
    """Where the witness has noticed by now what was told."""
    texts = evidence().texts(str(os.getpid()))
    return {leak.where.rpartition("/")[2] for leak in leaks(texts.items(), {TOLD: value})}


def is_all(places: set[str]) -> bool:
    logged = any("log of" in place and TOLD in place for place in places)
    return logged and places >= {"pods", "events", "configmaps"}


def processes(cluster: Cluster) -> str:
    """The command lines and environments of the processes of the node."""
    return cluster.must("docker", "exec", NODE, "sh", "-c", PROCESSES)


def assert_complete(known: Mapping[str, str], texts: Mapping[str, str]) -> None:
    """The run used what it uses, and was written down."""
    names = {name.partition("/")[2] for name in known}
    missing = {one for one in USED if not any(name.startswith(one) for name in names)}
    assert not missing, f"not seen; only `make e2e` uses all: {sorted(missing)}"
    kinds = {where.rpartition("/")[2] for where, text in texts.items() if text}
    assert not {*KINDS} - {"secrets"} - kinds
    for one in LOGS:
        assert any(f"log of {one}" in where and text for where, text in texts.items()), one


def test_no_secret_of_the_run_is_in_a_log_an_object_or_a_process(tenant: Tenant) -> None:
    tell(tenant, value := secrets.token_urlsafe(24))
    until(lambda: heard(value), is_all)
    known = values(evidence().secrets())
    texts = evidence().texts() | {"processes of the node": processes(tenant.cluster)}
    assert_complete(known, texts)
    assert not evidence().errors()
    found = leaks(texts.items(), known)
    mine, others = split(found)
    assert "processes of the node" in {leak.where for leak in mine}
    count(known, texts)
    assert not others, "\n".join(report(leak, texts) for leak in others[:20])


def split(found: list[Leak]) -> tuple[list[Leak], list[Leak]]:
    """What this test told, and all else."""
    mine = [leak for leak in found if f"/{TOLD}/" in leak.secret]
    return mine, [leak for leak in found if leak not in mine]


def count(known: Mapping[str, str], texts: Mapping[str, str]) -> None:
    """Say how many secrets of which keys were looked for, and in how much."""
    looked = {name: one for name, one in known.items() if len(one) >= SHORTEST}
    kinds = Counter(name.split("/", 2)[2].partition(" #")[0] for name in looked)
    size = sum(len(text) for text in texts.values()) / 1e6
    shown = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    print(f"{len(looked)} secrets in {size:.0f} MB of {len(texts)} texts: {shown}")  # noqa: T201  # the figures are the point
    print(f"not looked for, as too short: {len(known) - len(looked)}")  # noqa: T201  # see above
