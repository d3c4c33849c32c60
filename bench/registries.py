# SPDX-License-Identifier: Apache-2.0
"""What the operator takes for 1, 10, 100, 1,000 and 5,000 Registries, at a real API server.

    python bench/registries.py [--counts 1,10,100,1000,5000] [--write PAGE...]

kube-apiserver and etcd (without fsync) run beside it on the same cores; there are no nodes and no
controllers, so a Registry gets all its children and waits for its Deployment. Every number but
memory and processor time is from the API server's audit log. For each count everything is new.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hack"))

import operated
from audited import Audit, Request, kinds, of_operator
from operated import SYSTEM, Usage, usage
from registries_page import write

from support.apiserver import ApiServer, api_server, wait_for
from support.operators import Operator, define_kinds

RESYNC: Final = 30.0  # seconds, of the second process; so short that three of them are seen
PERIODS: Final = 3
EDITS: Final = 100
QUIET: Final = 5.0  # seconds without a request, after which it is done
SELDOM: Final = 0.25  # seconds between two looks at its metrics: each is work for it


@dataclass(slots=True)
class Row:
    """What was measured for one count.

    Attributes:
        count: Of Registries.
        created: Seconds from the first Registry to the last child and status of all.
        creating: Requests in that time, by verb and resource.
        edits: Seconds from an edit to its child, each.
        editing: Requests of all edits.
        idling: Requests in three resync periods.
        idle_cpu: Seconds of processor time in these.
        restart: Seconds from the start of a new process until all were looked at.
        restarting: Requests in it.
        usage: After each of the steps.
    """

    count: int
    created: float = 0.0
    creating: Counter[str] = field(default_factory=Counter)
    edits: list[float] = field(default_factory=list)
    editing: Counter[str] = field(default_factory=Counter)
    idling: Counter[str] = field(default_factory=Counter)
    idle_cpu: float = 0.0
    restart: float = 0.0
    restarting: Counter[str] = field(default_factory=Counter)
    usage: dict[str, Usage] = field(default_factory=dict)


class Measurement:
    """One count of Registries; what a peer's operator does otherwise is in the methods below."""

    resource: ClassVar[str] = "registries"
    idle: ClassVar[float] = RESYNC * PERIODS  # seconds
    between: ClassVar[float] = 0.0  # seconds without a request before the next edit

    def __init__(self, api: ApiServer, folder: Path, count: int) -> None:
        self._api, self._folder = api, folder
        self._audit = Audit(api.folder / "audit.log")
        self.row = Row(count)

    def run(self) -> Row:
        """Measure all."""
        places = [{"metadata": {"name": name}} for name in operated.spaces(self.row.count)]
        places.append({"metadata": {"name": SYSTEM}})
        operated.at_once(lambda one: self._api.request("POST", "/api/v1/namespaces", one), places)
        with self._operator() as one:
            wait_for(lambda: self._is_ready(one), "it is ready")
            self._create(one)
            self._edit(one)
        begin = time.monotonic()
        with self._operator(*self._second()) as again:
            self._restart(again, begin)
            self._idle(again)
        return self.row

    def _operator(self, *arguments: str) -> AbstractContextManager[Operator]:
        return operated.operator(self._api, self._folder, *arguments)

    def _create(self, one: Operator) -> None:
        self._note("started", one)
        self._audit.more()
        operated.at_once(self._create_one, operated.keys(self.row.count))
        seen = self._until_done(one, f"patch {self.resource}/status", self.row.count)
        begin = min(
            one.begun for one in seen if (one.verb, one.resource) == ("create", self.resource)
        )
        asked = of_operator(seen)
        self.row.created = max(one.ended for one in asked if one.is_write) - begin
        self.row.creating = kinds(asked)
        self._note("created", one)

    def _edit(self, one: Operator) -> None:
        """One after the other, of Registries all over: a field that a child has."""
        every = operated.keys(self.row.count)
        for number in range(EDITS):
            namespace, name = every[number * 37 % len(every)]
            self._api.merge(self._path(namespace, name), self._change(number))
            wanted = self._child(name)
            seen = self._until(lambda seen, wanted=wanted: _write(seen, *wanted) is not None)
            edit = next(one for one in seen if one.resource == self.resource and not one.is_ours)
            child = _write(seen, *wanted)
            assert child is not None
            self.row.edits.append(child.ended - edit.begun)
            seen += self._until_quiet(self.between)
            self.row.editing += kinds(of_operator(seen))
        self.row.editing += kinds(of_operator(self._until_quiet()))
        self._note("edited", one)

    def _idle(self, one: Operator) -> None:
        self._audit.more()
        before = usage(one.process.pid).cpu
        time.sleep(self.idle)
        self.row.idling = kinds(one for one in self._audit.more() if one.is_ours)
        self._note("settled", one)
        self.row.idle_cpu = self.row.usage["settled"].cpu - before

    def _restart(self, one: Operator, begin: float) -> None:
        self._audit.more()
        looks = self.row.count
        wait_for(lambda: self._looks(one) >= looks, "all were looked at", 600, SELDOM)
        self.row.restart = time.monotonic() - begin
        self.row.restarting = kinds(of_operator(self._until_quiet()))
        self._note("restarted", one)

    def _note(self, step: str, one: Operator) -> None:
        self.row.usage[step] = usage(one.process.pid)

    def _until(self, done: operated.Done) -> list[Request]:
        """Read the log until it is done."""
        seen: list[Request] = []

        def look() -> bool:
            seen.extend(self._audit.more())
            return done(seen)

        wait_for(look, "what was asked for", 3600)
        return seen

    def _until_done(self, one: Operator, what: str, times: int) -> list[Request]:
        """Read until something was done so often, and then until nothing more is asked."""
        counted: Counter[str] = Counter()
        read = 0

        def done(seen: list[Request]) -> bool:
            """Count what is new: a log of 5,000 Registries is long."""
            nonlocal read
            counted.update(kinds(of_operator(seen[read:])))
            read = len(seen)
            return counted[what] >= times

        seen = self._until(done)
        wait_for(lambda: self._is_idle(one), "the queue is empty", 3600)
        return seen + self._until_quiet()

    def _until_quiet(self, quiet: float = QUIET) -> list[Request]:
        seen: list[Request] = []
        since = time.monotonic()
        while time.monotonic() - since < quiet:
            new = self._audit.more()
            if of_operator(new):
                since = time.monotonic()
            seen += new
            time.sleep(0.2)
        return seen

    def _second(self) -> tuple[str, ...]:
        """Arguments of the process that is started anew."""
        return (f"--resync={RESYNC:.0f}",)

    def _is_ready(self, one: Operator) -> bool:
        return one.leads() and one.fetch("/readyz")[1] == "ok\n"

    def _is_idle(self, one: Operator) -> bool:
        return operated.is_idle(one)

    def _looks(self, one: Operator) -> float:
        return one.reconciles()

    def _create_one(self, key: tuple[str, str]) -> None:
        operated.create_one(self._api, key)

    def _path(self, namespace: str, name: str) -> str:
        return operated.path(namespace, name)

    def _change(self, number: int) -> dict[str, Any]:
        """An edit: a schedule, which a CronJob has."""
        schedule = f"{number % 60} {4 + number // 60} 1 * *"
        return {"spec": {"garbageCollection": {"schedule": schedule}}}

    def _child(self, name: str) -> tuple[str, str]:
        """Resource and name of what has the edited field."""
        return "cronjobs", f"{name}-gc"


def _write(seen: list[Request], resource: str, name: str) -> Request | None:
    wanted = (one for one in of_operator(seen) if one.is_write and one.resource == resource)
    return next((one for one in wanted if one.key[1] == name), None)


def measured(
    about: str, counts: str, define: Callable[[ApiServer], None], kind: type[Measurement]
) -> tuple[list[Row], list[Path]]:
    """Read the command line and measure each count that it names.

    Args:
        about: What is measured, for `--help`.
        counts: What is measured when none is named.
        define: Makes the resources known to a new API server.
        kind: How one count is measured.

    Returns:
        A row for each count, and the pages to write them to.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--counts", default=counts, metavar="N,...")
    parser.add_argument("--write", nargs="*", type=Path, default=[], metavar="PAGE")
    given = parser.parse_args()
    rows = []
    for count in map(int, given.counts.split(",")):
        with tempfile.TemporaryDirectory() as folder, api_server(Path(folder)) as api:
            define(api)
            rows.append(kind(api, Path(folder), count).run())
        print(rows[-1], flush=True)
    return rows, given.write


def main() -> None:
    write(*measured(__doc__ or "", "1,10,100,1000,5000", define_kinds, Measurement))


if __name__ == "__main__":
    main()
