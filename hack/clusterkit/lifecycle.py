# SPDX-License-Identifier: Apache-2.0
"""Up, down and status of the whole."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clusterkit import engine, machine, node_image, process, storage
from clusterkit.command import ClusterError, output, say
from clusterkit.kind import Kind
from clusterkit.places import Places
from program_table import CLIENTS, KUBERNETES, NODE

OWN_IMAGE = f"registry.k8s.io/kube-proxy:{KUBERNETES}"  # the node's Debian, with Python
PULLED_IMAGE = "python:3.13-slim-trixie"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the caller wants to use.

    Attributes:
        engine: "own", "machine", or "auto": the machine's where the node image can be had.
        context: An existing kubeconfig context to use instead of a cluster of our own.
    """

    engine: str
    context: str


def choice() -> Choice:
    """Return what the environment asks for.

    Raises:
        ClusterError: CLUSTER_ENGINE is none of the three words.
    """
    wanted = os.environ.get("CLUSTER_ENGINE") or "auto"
    if wanted not in {"own", "machine", "auto"}:
        raise ClusterError(f"CLUSTER_ENGINE is {wanted!r}; it can be own, machine or auto")
    return Choice(engine=wanted, context=os.environ.get("CLUSTER_CONTEXT", ""))


@contextmanager
def locked(where: Places) -> Iterator[None]:
    """Hold off other runs; a killed one lets go by itself."""
    where.run.mkdir(parents=True, exist_ok=True)
    with (where.run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def current(where: Places) -> Kind:
    """Return the cluster as it was last chosen."""
    return Kind(where=where, own_engine=_remembered(where) == "own")


def _remembered(where: Places) -> str:
    try:
        return (where.run / "mode").read_text().strip()
    except FileNotFoundError:
        return ""


def _decide(where: Places, wanted: Choice) -> Kind:
    mode = wanted.engine
    if mode == "auto":
        mode = _remembered(where)
        if mode not in {"own", "machine"}:
            mode = "machine" if engine.machine_engine() and node_image.can_pull() else "own"
    if mode == "own" and os.geteuid() != 0:
        raise ClusterError("an engine of our own needs root; or start one that you may use")
    (where.run / "mode").write_text(f"{mode}\n")
    return Kind(where=where, own_engine=mode == "own")


def start_engine(where: Places, wanted: Choice) -> Kind:
    """Make sure that images can be built; return the cluster that would use that engine."""
    machine.install_packages()
    kind = _decide(where, wanted)
    if kind.own_engine:
        engine.start(where)
    return kind


def up(where: Places, wanted: Choice) -> None:
    """Bring up what does not run, repair what is missing.

    Raises:
        ClusterError: Something it needs cannot be had.
    """
    if wanted.context:
        use_context(where, wanted.context)
        return
    machine.install_packages()
    node_image.ensure_programs(where, CLIENTS)
    kind = start_engine(where, wanted)
    kind.refuse_unready_services()
    # a node that runs but is slow to answer is waited for: making it anew loses what is in it
    patience = 60 if kind.node_runs() else 0
    if not process.wait_until(kind.is_up, seconds=patience, step=1):
        kind.create(_node_image(kind))
    kind.route_services()
    _default_storage(kind)
    say("the cluster is up")
    print_way_in(where)


def _node_image(kind: Kind) -> str:
    if not kind.own_engine:
        return node_image.PULLED
    node_image.ensure_programs(kind.where, NODE)
    return node_image.make(kind.where)


def _default_storage(kind: Kind) -> None:
    folder = kind.where.hack / "loopvolumes"
    image = OWN_IMAGE if kind.own_engine else PULLED_IMAGE
    known = output(
        ["kubectl", "get", "storageclass", "standard", "-o", "jsonpath={.provisioner}"],
        environment=kind.environment,
    )
    if known and known != storage.PROVISIONER:  # of a node image that is not ours; immutable
        output(["kubectl", "delete", "storageclass", "standard"], environment=kind.environment)
    kind.apply(storage.manifests(folder, image))


def use_context(where: Places, context: str) -> None:
    """Write a kubeconfig that holds nothing but the named context.

    Raises:
        ClusterError: There is no context of that name, or a cluster of our own is up.
    """
    if _remembered(where) in {"own", "machine"}:
        raise ClusterError("a cluster of our own is up; take it down first: `make cluster-down`")
    command = ["kubectl", "config", "view", "--raw", "--minify", "--flatten", "--context", context]
    node_image.ensure_programs(where, CLIENTS)
    programs = f"{where.programs}:{os.environ.get('PATH', '')}"
    text = output(command, environment={**os.environ, "PATH": programs})
    if text is None:
        raise ClusterError(f"there is no context {context!r}; see `kubectl config get-contexts`")
    descriptor = os.open(where.kubeconfig, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    (where.run / "mode").write_text("context\n")
    print_way_in(where)


def down(where: Places) -> None:
    """Remove the cluster and its engine, whatever state they are in; images are kept.

    Raises:
        ClusterError: Something cannot be removed.
    """
    kind = current(where)
    if kind.own_engine:
        if engine.answers(where):
            try:
                kind.delete()
            except ClusterError as failed:  # ends with the engine; `up` removes what it had stored
                say(f"kind could not remove it, so its engine is ended: {failed}")
    elif _remembered(where) == "machine":
        kind.delete()
    engine.stop(where)
    (where.run / "mode").unlink(missing_ok=True)
    say("the cluster is gone")


def status(where: Places) -> int:
    """Print what runs; return 0 when the cluster is up, else 1."""
    kind = current(where)
    mode = _remembered(where) or "none"
    print(f"engine      {mode}")
    if mode == "own":
        first = engine.first_process(where)
        state = f"runs as process {first.pid}" if first else "does not run"
        print(f"            {state}, logs in {where.run}")
    is_up = kind.is_up()
    print(f"cluster     {'up' if is_up else 'not up; start it with `make cluster-up`'}")
    if is_up:
        for what in ("nodes", "storageclasses"):
            subprocess.run(
                ["kubectl", "get", what, "-o", "wide"], env=kind.environment, check=False
            )
        print_way_in(where)
    return 0 if is_up else 1


def print_way_in(where: Places) -> None:
    """Print how a person looks around."""
    print(f"export KUBECONFIG={where.kubeconfig} PATH={where.programs}:$PATH")
    print("make shell opens a shell beside the cluster: docker, kubectl, crane, Service addresses")
