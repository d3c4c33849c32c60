# SPDX-License-Identifier: Apache-2.0
"""A container engine of our own, in its own network, mount and process namespaces."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from clusterkit import machine, process
from clusterkit.command import ClusterError, bound, output, run, say
from clusterkit.places import ENGINE_ADDRESS, HOST_ADDRESS, LINK, Places, client_environment

CONTAINERD = """version = 2
root = "{store}/containerd"
state = "{run}/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
oom_score = 0
[grpc]
  address = "{run}/containerd.sock"
"""

OWNER = Path("/run/cais-cluster")  # names the run folder of the machine's only cluster
KEPT = ("lock", "mode")  # held by us; the choice that outlives a restart of the engine


def first_process(where: Places) -> process.Process | None:
    """Return the process that holds the engine's namespaces, None when there is no engine."""
    outer = process.read(where.run / "engine.json")
    return process.child_of(outer.pid) if outer else None


def answers(where: Places) -> bool:
    """Tell whether our engine runs and can be talked to."""
    environment = client_environment(where, own_engine=True)
    return first_process(where) is not None and (
        output(["docker", "version", "--format", "{{.Server.Version}}"], environment=environment)
        is not None
    )


def inside(where: Places, command: list[str]) -> list[str]:
    """Return the command as one that runs in the engine's namespaces and ends with us.

    Raises:
        ClusterError: There is no engine.
    """
    first = first_process(where)
    if first is None:
        raise ClusterError("the cluster's engine does not run; start it with `make cluster-up`")
    enter = ["nsenter", "--target", str(first.pid), "--net", "--mount", "--pid", "--"]
    return [*enter, *bound(command)]


def root_view(where: Places) -> Path:
    """Return the folder through which the engine's own view of `/` is seen.

    Raises:
        ClusterError: There is no engine.
    """
    first = first_process(where)
    if first is None:
        raise ClusterError("the cluster's engine does not run; start it with `make cluster-up`")
    return Path(f"/proc/{first.pid}/root")


def start(where: Places) -> None:
    """Start the engine where it does not run yet.

    Raises:
        ClusterError: It does not come up; with the end of its log.
    """
    outer = process.read(where.run / "engine.json")
    if outer and answers(where):
        if not machine.has_link(LINK):
            _connect(outer)
        return
    other = _other_owner(where)
    if other:
        raise ClusterError(f"the machine has a cluster already, whose run folder is {other}")
    stop(where)
    say("starting a container engine in namespaces of its own")
    where.run.mkdir(parents=True, exist_ok=True)
    where.store.mkdir(parents=True, exist_ok=True)
    machine.remember(where.run / "machine.json")
    OWNER.write_text(str(where.run))
    (where.run / "daemon.json").write_text("{}\n")
    text = CONTAINERD.format(store=where.store, run=where.run)
    (where.run / "containerd.toml").write_text(text)
    outer = _spawn(where)
    _connect(outer)
    if not process.wait_until(lambda: answers(where) or not process.is_alive(outer), seconds=60):
        raise ClusterError(f"the engine does not answer; see {where.run}/dockerd.log")
    if not process.is_alive(outer):
        raise ClusterError(f"the engine ended at once; see the logs in {where.run}")


def _spawn(where: Places) -> process.Process:
    environment = dict(os.environ)
    if not machine.has_resource_capability():
        environment["CAIS_RUNTIME"] = str(where.hack / "engine" / "runtime.sh")
    init = [str(where.hack / "engine" / "init.sh"), str(where.run), str(where.store)]
    namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with (where.run / "init.log").open("w") as log:
        child = subprocess.Popen(
            ["unshare", *namespaces, "--propagation", "private", *init],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    outer = process.look_up(child.pid)
    if outer is None or child.stdin is None:
        raise ClusterError(f"the engine ended at once; see {where.run}/init.log")
    process.write(where.run / "engine.json", outer)
    namespaces_exist = process.wait_until(
        lambda: process.child_of(child.pid) is not None or child.poll() is not None, seconds=20
    )
    if not namespaces_exist or child.poll() is not None:
        raise ClusterError(f"no namespaces for the engine; see {where.run}/init.log")
    child.stdin.write(b"go\n")
    child.stdin.close()
    return outer


def _connect(outer: process.Process) -> None:
    peer = ["peer", "name", "cais1", "netns", str(outer.pid)]
    run(["ip", "link", "add", LINK, "type", "veth", *peer])
    run(["ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", LINK])
    run(["ip", "link", "set", LINK, "up"])
    enter = ["nsenter", "--target", str(outer.pid), "--net", "--"]
    run([*enter, "ip", "address", "add", f"{ENGINE_ADDRESS}/24", "dev", "cais1"])
    run([*enter, "ip", "link", "set", "cais1", "up"])


def stop(where: Places) -> None:
    """End the engine with everything in it, also one that was started half way.

    Raises:
        ClusterError: Something of it cannot be ended.
    """
    outer = process.read(where.run / "engine.json")
    if outer:
        say("stopping the engine")
        first = process.child_of(outer.pid)
        if first:
            process.end(first, signal.SIGTERM)
            process.wait_until(lambda: not process.is_alive(first), seconds=20)
            process.end(first, signal.SIGKILL)
        process.end(outer, signal.SIGKILL)
        _wait_for_end(outer, first)
    if not _other_owner(where):
        machine.remove_link(LINK)
        machine.remove_cgroups()
        machine.restore(where.run / "machine.json")
        OWNER.unlink(missing_ok=True)
    if where.run.exists():
        _empty(where.run)


def _wait_for_end(outer: process.Process, first: process.Process | None) -> None:
    def is_gone() -> bool:
        machine.thaw()
        alive = process.is_alive(outer) or (first is not None and process.is_alive(first))
        return not alive

    gone = process.wait_until(is_gone, seconds=30)
    if not gone:
        raise ClusterError(f"process {outer.pid} (the engine) does not end")


def _other_owner(where: Places) -> str:
    try:
        owner = OWNER.read_text()
    except FileNotFoundError:
        return ""
    if owner == str(where.run) or process.read(Path(owner) / "engine.json") is None:
        return ""
    return owner


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name in KEPT:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def machine_engine() -> bool:
    """Tell whether the machine has an engine of its own that this user may use."""
    answer = output(["docker", "version", "--format", "{{json .Server}}"])
    return bool(answer and json.loads(answer))
