# SPDX-License-Identifier: Apache-2.0
"""What another operator takes where `registries.py` measures ours: the Prometheus Operator, in Go.

    python bench/peer_operator.py [--counts 1,10,100] [--write PAGE...]

The same API server, the same steps and the same log. Its definitions are those of its Go module.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hack"))

from registries import Measurement, Row, measured
from registries_page import table
from report import put_section

from program_table import source_of
from support.apiserver import ApiServer, free_port, program, running, wait_for
from support.operators import Operator

NAME: Final = "prometheus-operator"
GROUP: Final = "/apis/monitoring.coreos.com/v1"
TITLE: Final = "Another operator beside ours"
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_METHOD: Final = """\
`make bench-peer-operator`: the Prometheus Operator {version} (Go) with its default flags where
"The operator with many Registries" measures ours: the same API server, namespaces, clients, steps
and log. Each Prometheus selects all rules and monitors of its namespace, of which there are none,
and has these children: {children}, beside a Service for all of a namespace.
An edit changes the retention, {edits} times; its time is from the edit to the StatefulSet, and the
next comes after {between} s without a request, as each leads to more than one look.
Idle is {idle:.0f} s, as its informers look again every five minutes, which no flag changes; it
also writes each status about once a minute. One run of each.

So the two do not do the same work. A Registry has more than twice as many children, among them
passwords, keys and a certificate that our operator makes; the peer makes none, has no Lease here,
and watches ten kinds of its own. Neither has a server to ask. Requests are counted as the log has
them: an update that changes nothing is a write, and so is a deletion of what is not there.
"""


class PeerMeasurement(Measurement):
    """One count of Prometheuses."""

    resource: ClassVar[str] = "prometheuses"
    idle: ClassVar[float] = 310.0  # a period of its informers, and a little
    between: ClassVar[float] = 0.5

    @contextmanager
    def _operator(self, *arguments: str) -> Iterator[Operator]:
        port, log = free_port(), self._folder / "operator.log"
        files = {"ca": "ca.crt", "cert": "admin.crt", "key": "admin.key"}
        command = [
            *(program(NAME), f"--apiserver={self._api.url}"),
            *(f"--{flag}-file={self._api.folder / file}" for flag, file in files.items()),
            f"--web.listen-address=127.0.0.1:{port}",
            *arguments,
        ]
        with running(command, log) as process:
            yield Operator(process=process, health=f"http://127.0.0.1:{port}", log=log)
            if process.poll() is None:
                process.terminate()
                process.wait(60)

    def _second(self) -> tuple[str, ...]:
        return ()

    def _is_ready(self, one: Operator) -> bool:
        return _metric(one, "ready") == 1

    def _is_idle(self, one: Operator) -> bool:
        return _metric(one, "workqueue_depth") == 0

    def _looks(self, one: Operator) -> float:
        return _metric(one, "reconcile_operations_total")

    def _create_one(self, key: tuple[str, str]) -> None:
        body = {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "Prometheus",
            "metadata": {"name": key[1]},
            "spec": {"serviceMonitorSelector": {}, "ruleSelector": {}},
        }
        self._api.request("POST", self._path(key[0]), body)

    def _path(self, namespace: str, name: str = "") -> str:
        base = f"{GROUP}/namespaces/{namespace}/prometheuses"
        return f"{base}/{name}" if name else base

    def _change(self, number: int) -> dict[str, Any]:
        return {"spec": {"retention": f"{2 + number}d"}}

    def _child(self, name: str) -> tuple[str, str]:
        return "statefulsets", f"prometheus-{name}"


def _metric(one: Operator, name: str) -> float:
    """Of its controller of Prometheuses; -1 while it does not say."""
    lines = one.fetch("/metrics")[1].splitlines()
    start = f"prometheus_operator_{name}{{"
    found = [line for line in lines if line.startswith(start) and 'controller="prometheus"' in line]
    return sum(float(line.split()[-1]) for line in found) if found else -1


class _Loader(yaml.CSafeLoader):
    """Takes a plain "=" for the text that it is."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


def define_kinds(api: ApiServer) -> None:
    """Apply the definitions of the module; until they are served."""
    source = source_of(NAME)
    command = ["go", "mod", "download", "-json", f"{source.module}@{source.version}"]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    folder = Path(json.loads(answer.stdout)["Dir"]) / "example/prometheus-operator-crd"
    for path in sorted(folder.glob("*.yaml")):
        definition = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a safe one
        api.request("POST", _DEFINITIONS, definition)
        spec = definition["spec"]
        kind = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        wait_for(partial(api.find, kind), f"{kind} is served")


def _children(row: Row) -> str:
    """What was created for each, but for what is shared."""
    made = {
        kind.removeprefix("create "): number // row.count
        for kind, number in row.creating.items()
        if kind.startswith("create ") and kind != "create events" and number >= row.count
    }
    return ", ".join(f"{kind} {number}" for kind, number in sorted(made.items()))


def main() -> None:
    rows, pages = measured(__doc__ or "", "1,10,100", define_kinds, PeerMeasurement)
    told = _METHOD.format(
        version=source_of(NAME).version,
        children=_children(rows[-1]),
        edits=len(rows[-1].edits),
        between=PeerMeasurement.between,
        idle=PeerMeasurement.idle,
    )
    text = f"{told}\n{table(rows, 'Prometheuses', 'one period')}"
    print(text)
    for page in pages:
        put_section(page, TITLE, text)


if __name__ == "__main__":
    main()
