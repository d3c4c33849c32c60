# SPDX-License-Identifier: Apache-2.0
"""Lives with the operator for an hour: edits, deletions and kills at random; all has to end well.

    python bench/soak.py [--minutes 60] [--registries 30] [--seed N] [--write PAGE...]

The API server, etcd, garbage collector and namespace controller are real; Deployments and claims
get the status that their controllers would write, and servers are played. In the first half the
operator is killed (SIGKILL) or stopped for a while (SIGSTOP) about every minute; in the second half
it is only stopped, so that its memory can be followed. Ends non-zero when something is not well.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hack"))

import operated
from bystanders import Cluster, Disturber
from operated import SYSTEM, usage
from report import put_section

from cais_operator.installation import CLUSTER_NAME, NAME
from support.apiserver import api_server, wait_for
from support.children import CHILDREN
from support.operators import Operator, define_kinds

TITLE: Final = "Soak"
CONTROLLERS: Final = ("garbage-collector-controller", "namespace-controller")
PLAYING: Final = str(Path(__file__).with_name("playing.py"))
FAULT_EVERY: Final = 60.0  # seconds
SETTLE: Final = 300.0


class Soak:
    """One run."""

    def __init__(self, cluster: Cluster, folder: Path, given: argparse.Namespace) -> None:
        self._cluster, self._folder = cluster, folder
        self._seconds = given.minutes * 60
        self._names = operated.keys(given.registries)
        self._disturber = Disturber(cluster, self._names, given.seed)
        self._random = random.Random(given.seed)  # noqa: S311 - see there
        self._faults: Counter[str] = Counter()
        self._memory: list[list[float]] = []  # of each process of the second half

    def run(self) -> str:
        """Live through it; return what is to be told."""
        half, begin = self._seconds / 2, time.monotonic()
        operated.at_once(lambda key: operated.create_one(self._cluster.api, key), self._names)
        while time.monotonic() - begin < half:
            with self._operator() as one:
                self._disturb(one, min(FAULT_EVERY, half - (time.monotonic() - begin)))
                self._fault(one, may_kill=True)
        while True:
            with self._operator() as one:
                if self._follow(one, begin + self._seconds):
                    return self._told()

    def _follow(self, one: Operator, end: float) -> bool:
        """Follow the memory of one process until the end; False when it had to begin anew."""
        wait_for(lambda: _has_ended(one) or self._are_ready(), "all are Ready", SETTLE)
        self._memory.append([])
        while time.monotonic() < end:
            if not self._disturb(one, FAULT_EVERY):
                return False
            self._fault(one, may_kill=False)
            self._memory[-1].append(usage(one.process.pid).rss)
        self._disturber.restore()
        wait_for(lambda: _has_ended(one) or self._are_ready(), "every Registry is Ready", SETTLE)
        wait_for(lambda: not self._left_over(), "nothing is left over", SETTLE)
        if _has_ended(one):
            return False
        self._memory[-1].append(usage(one.process.pid).rss)
        return True

    def _operator(self) -> Any:  # noqa: ANN401 - see `operated.operator`
        return operated.operator(self._cluster.api, self._folder, "--resync=60", program=(PLAYING,))

    def _disturb(self, one: Operator, seconds: float) -> bool:
        """Disturb for so long; False when it ended, as one does that has lost its Lease."""
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            if _has_ended(one):
                self._faults["without its Lease, and started again"] += 1
                return False
            self._disturber.act()
            time.sleep(self._random.uniform(0.1, 0.9))
        return True

    def _fault(self, one: Operator, *, may_kill: bool) -> None:
        if one.process.poll() is not None:
            return
        if may_kill and self._random.random() < 0.7:  # noqa: PLR2004
            one.process.kill()
            self._faults["killed"] += 1
            return
        one.process.send_signal(signal.SIGSTOP)
        time.sleep(self._random.uniform(1, 8))
        one.process.send_signal(signal.SIGCONT)
        self._faults["stopped for seconds"] += 1

    def _are_ready(self) -> bool:
        return all(_is_ready(one) for one in self._cluster.all("Registry"))

    def _left_over(self) -> list[str]:
        """Children without a Registry, and children that it should not have."""
        found = {one["metadata"]["uid"]: one for one in self._cluster.all("Registry")}
        odd = []
        for kind in sorted({kind for kind, _ in CHILDREN} - {"PersistentVolumeClaim"}):
            for one in self._cluster.all(kind):
                owners = one["metadata"].get("ownerReferences") or ()
                mine = [found[ref["uid"]] for ref in owners if ref["uid"] in found]
                is_mark = one["metadata"]["name"] in (NAME, CLUSTER_NAME)  # of the installation
                if is_mark or one["metadata"]["namespace"] == SYSTEM:
                    continue
                if not any(_is_wanted(one, owner) for owner in mine):
                    odd.append(self._cluster.path(one))
        return odd

    def _told(self) -> str:
        done = ", ".join(f"{words} {number:,}" for words, number in self._disturber.done.items())
        faults = ", ".join(f"{words} {number}" for words, number in self._faults.items())
        longest = max(self._memory, key=len)
        first, last = longest[0], longest[-1]
        assert last < first * 1.05 + 1, f"memory grew: {longest}"
        return (
            f"`make soak MINUTES={self._seconds / 60:.0f}`: {len(self._names)} Registries, real"
            " API server, etcd, garbage collector and namespace controller; Deployments, claims and"
            f" servers are played.\n\n- Done at random: {done}.\n- The operator was {faults} times."
            "\n- At the end every Registry was Ready, and no child was left over or missing."
            "\n- Memory of the operator, once a minute, of the process that lived longest in the"
            f" second half ({len(longest)} minutes; no kills): {first:.0f} MiB first,"
            f" {max(longest):.0f} MiB at most, {last:.0f} MiB last."
        )


def _has_ended(one: Operator) -> bool:
    """Whether it has ended by itself, which is well only without its Lease; as in a pod."""
    if one.process.poll() is None:
        return False
    log = one.log.read_text()
    assert "is lost: stopping" in log, f"the operator has ended by itself: {log[-3000:]}"
    return True


def _is_ready(one: dict[str, Any]) -> bool:
    status = one.get("status") or {}
    ready = next((it for it in status.get("conditions") or () if it["type"] == "Ready"), {})
    seen = status.get("observedGeneration") == one["metadata"]["generation"]
    return bool(seen and ready.get("status") == "True")


def _is_wanted(child: dict[str, Any], owner: dict[str, Any]) -> bool:
    name = owner["metadata"]["name"]
    users = owner["spec"].get("access", {}).get("users", ())
    wanted = {(kind, known.replace("team", name, 1)) for kind, known in CHILDREN}
    wanted |= {("Secret", f"{name}-user-{user['name']}") for user in users}
    return (child["kind"], child["metadata"]["name"]) in wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--registries", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", nargs="*", type=Path, default=[], metavar="PAGE")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        api = stack.enter_context(api_server(folder, controllers=CONTROLLERS))
        define_kinds(api)
        for name in (SYSTEM, *operated.spaces(given.registries)):
            api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        cluster = Cluster(api)
        threading.Thread(target=cluster.play, daemon=True).start()
        stack.callback(cluster.stop)
        told = Soak(cluster, folder, given).run()
    print(told)
    for page in given.write:
        put_section(page, TITLE, told)


if __name__ == "__main__":
    main()
