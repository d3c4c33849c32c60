# SPDX-License-Identifier: Apache-2.0
"""The cluster of these tests: the one of `make demo`, or the one that CLUSTER_CONTEXT names.

Files run beside each other, each against Registries in namespaces of its own. What changes
something for all of them is marked `alone`; in files named `test_z_*` every test is.
"""

import os
import secrets
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clusterkit.places import places
from demo.names import NAMESPACE, REGISTRY
from demo.place import Place
from e2e.evidence import evidence
from e2e.kit import Answer, Cluster, Refused, Tenant, mode_of, permit, until

WITNESS = pytest.StashKey[subprocess.Popen[bytes]]()
FIRST_PARTS = "not alone"  # of a run of all tests; what they leave is for the last part

# the files that take longest: a run is as long as the last of them, so they begin first
LONGEST = ("space", "lifecycle", "passwords", "alone", "identities", "consumers")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    first = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(item.path.name, len(first)))
    for item in items:
        if item.path.parent != Path(__file__).parent:
            continue
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))
        if item.path.name.startswith("test_z_"):
            item.add_marker(pytest.mark.alone)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what good tests printed: figures, and what a person would have seen."""
    for report in terminalreporter.getreports("passed"):
        if report.when == "call" and report.capstdout:
            terminalreporter.write_line(f"\n{report.nodeid}\n{report.capstdout.rstrip()}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the servers said last, where a test of theirs failed."""
    report = yield
    if report.failed and report.when == "call":
        for tenant in getattr(item, "funcargs", {}).values():
            if isinstance(tenant, Tenant):
                report.sections.append((f"logs of {tenant.namespace}", tenant.logs()))
    return report


def pytest_sessionstart(session: pytest.Session) -> None:
    """Write down what the cluster tells while the tests run; test_zz_secrets.py looks at it."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    if config.option.markexpr != "alone":
        evidence().remove()
    try:
        cluster_is_ours(found := Place(where=places(), name="e2e"))
    except Refused:
        return  # the tests say so
    if mode_of(found):
        config.stash[WITNESS] = evidence().start(found.where.kubeconfig)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the witness; what it wrote is kept for the tests that come last, and for no longer."""
    config = session.config
    if witness := config.stash.get(WITNESS, None):
        witness.communicate()  # which closes its input
        if config.option.markexpr != FIRST_PARTS:
            evidence().remove()


@pytest.fixture(scope="session")
def place(worker_id: str) -> Place:
    """Where this worker of the test run types its commands; credentials are not shared."""
    found = Place(where=places(), name=f"e2e-{worker_id}")
    cluster_is_ours(found)
    return found


def cluster_is_ours(found: Place) -> None:
    """Make sure that tests may use the cluster.

    Raises:
        Refused: It is another one than was asked for.
    """
    asked = os.environ.get("CLUSTER_CONTEXT", "")
    command = ["kubectl", "config", "current-context", "--kubeconfig", str(found.where.kubeconfig)]
    environment = dict(found.machine.environment)
    try:
        done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
        current = done.stdout.strip()
    except FileNotFoundError:  # nothing is built yet
        current = ""
    permit(mode_of(found), asked, current)


def is_busy(answer: Answer) -> bool:
    """Whether the API server had no time for an answer."""
    return answer.code != 0 and "Unable to connect" in answer.err


@pytest.fixture(scope="session")
def cluster(place: Place) -> Cluster:
    found = Cluster(place=place)
    assert mode_of(place), "there is no cluster: first `make demo`"
    get = ("kubectl", "get", "registry", REGISTRY, "--namespace", NAMESPACE)
    installed = until(lambda: found.run(*get), lambda answer: not is_busy(answer))
    assert installed.code == 0, f"first `make demo`: {installed.err}"
    return found


@contextmanager
def namespaces(cluster: Cluster) -> Iterator[Callable[[], Tenant]]:
    """Makes namespaces, each for one Registry; they are removed again."""
    made: list[str] = []

    def make() -> Tenant:
        namespace = f"e2e-{secrets.token_hex(4)}"
        cluster.kubectl("create", "namespace", namespace)
        enforce = "pod-security.kubernetes.io/enforce=restricted"
        cluster.kubectl("label", "namespace", namespace, enforce)
        made.append(namespace)
        return Tenant(cluster=cluster, namespace=namespace)

    try:
        yield make
    finally:
        for namespace in made:
            cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def new_tenant(cluster: Cluster) -> Iterator[Callable[[], Tenant]]:
    with namespaces(cluster) as make:
        yield make


@pytest.fixture
def tenant(new_tenant: Callable[[], Tenant]) -> Tenant:
    return new_tenant()


@pytest.fixture(scope="module")
def module_tenant(cluster: Cluster) -> Iterator[Tenant]:
    with namespaces(cluster) as make:
        yield make()


@pytest.fixture
def settled(module_tenant: Tenant) -> Tenant:
    """A Registry that is Ready, of the default spec, trusted and logged in to.

    The tests of a file share it: each finds the same spec, and maybe what others have pushed. What
    the one before has deleted may be back only now.
    """
    shared = module_tenant
    shared.apply()
    shared.wait_ready()
    shared.trust()
    until(lambda: shared.log_in("admin", shared.secret("team-admin", "password")), succeeded)
    return shared


def succeeded(answer: Answer) -> bool:
    return answer.code == 0
