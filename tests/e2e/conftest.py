# SPDX-License-Identifier: Apache-2.0
"""The cluster of these tests: the one of `make cluster-up`, or the one CLUSTER_CONTEXT names."""

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterkit.places import places
from demo.place import ROOT, Place
from e2e.kit import Cluster, Tenant, mode_of, permit

COLD = 3600  # seconds; the first demo on a machine builds Kubernetes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in here:
        item.add_marker(pytest.mark.timeout(COLD if item is here[0] else 600))


@pytest.fixture(scope="session")
def place() -> Place:
    found = Place(where=places())
    asked = os.environ.get("CLUSTER_CONTEXT", "")
    command = ["kubectl", "config", "current-context", "--kubeconfig", str(found.where.kubeconfig)]
    environment = dict(found.machine.environment)
    try:
        done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
        current = done.stdout.strip()
    except FileNotFoundError:  # nothing is built yet
        current = ""
    permit(mode_of(found), asked, current)
    return found


def run_demo() -> str:
    """Run the demo as a person does; return all that it printed."""
    done = subprocess.run(
        ["make", "demo"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    kept = ROOT / "build" / "demo.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


@pytest.fixture(scope="session")
def demo(place: Place) -> str:
    """The transcript of the demo, which brings up cluster, images, operator and a registry."""
    print(f"the cluster is in {place.where.run}")  # noqa: T201  # for the person who runs the tests
    return run_demo()


@pytest.fixture(scope="session")
def cluster(place: Place, demo: str) -> Cluster:
    assert "steps done" in demo
    return Cluster(place=place)


@pytest.fixture
def new_tenant(cluster: Cluster) -> Iterator[Callable[[], Tenant]]:
    """Makes namespaces, each for one Registry; they are removed again."""
    made: list[str] = []

    def make() -> Tenant:
        namespace = f"e2e-{secrets.token_hex(4)}"
        cluster.kubectl("create", "namespace", namespace)
        made.append(namespace)
        return Tenant(cluster=cluster, namespace=namespace)

    yield make
    for namespace in made:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def tenant(new_tenant: Callable[[], Tenant]) -> Tenant:
    return new_tenant()
