# SPDX-License-Identifier: Apache-2.0
"""The table of `registries.py`, in words and Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Final

from audited import WRITES
from report import put_section

if TYPE_CHECKING:
    from registries import Row

TITLE: Final = "The operator with many Registries"
_METHOD: Final = """\
`make bench-operator`: a real kube-apiserver and etcd (without fsync) on the same cores, no nodes
and no controllers, so a Registry (with one user) gets its {children} children and waits for its
Deployment. Ten Registries share a namespace. Requests and times are of the API server's audit
log. Creation is from the first POST of a Registry, four at a time, to the last child and status.
An edit changes the schedule of the garbage collection, one Registry after the other, {edits}
times; its time is from the edit to the CronJob. The restart is timed from the start of a second
process. Idle is three periods of its resync ({resync} s here), in which each Registry has its turn
three times; a whole look without a reason comes about every twelfth time. Memory is resident. One
run of each.
"""


def write(rows: Sequence[Row], pages: Iterable[Path]) -> None:
    """Print the table, and put it into pages."""
    first = rows[-1]
    children = round((_writes(first.creating) - _events(first.creating)) / first.count) - 1
    told = _METHOD.format(children=children, edits=len(first.edits), resync="30")
    text = f"{told}\n{table(rows, 'Registries', 'three periods')}"
    print(text)
    for page in pages:
        put_section(page, TITLE, text)


_QUESTIONS: Final = ("create selfsubjectaccessreviews",)  # which store nothing


def table(rows: Sequence[Row], what: str, idle: str) -> str:
    """All figures, by count of the resource; and what was asked while it was idle for so long."""
    lines = [
        f"| {what} | " + " | ".join(f"{row.count:,}" for row in rows) + " |",
        "|---" * (len(rows) + 1) + "|",
        *(
            f"| {words.format(idle=idle)} | " + " | ".join(say(row) for row in rows) + " |"
            for words, say in _LINES.items()
        ),
    ]
    asked = ", ".join(sorted({kind for row in rows for kind in row.idling})) or "none"
    return "\n".join(lines) + f"\n\nAll requests of the idle operator: {asked}."


def _writes(requests: Counter[str]) -> int:
    return sum(
        number
        for kind, number in requests.items()
        if kind.split()[0] in WRITES and kind not in _QUESTIONS
    )


def _events(requests: Counter[str]) -> int:
    return requests["create events"]


def _reads(requests: Counter[str]) -> int:
    return sum(requests.values()) - _writes(requests)


def _quantile(percent: int) -> Callable[[Row], str]:
    return lambda row: f"{quantiles(row.edits, n=100)[percent - 1] * 1000:.0f} ms"


def _memory(step: str) -> Callable[[Row], str]:
    return lambda row: f"{row.usage[step].rss:.0f} MiB"


def _calls(row: Row) -> str:
    written = (_writes(row.creating) - _events(row.creating)) / row.count
    events, read = _events(row.creating) / row.count, _reads(row.creating) / row.count
    return f"{written:.1f} + {events:.1f} + {read:.1f}"


def _asked(row: Row) -> int:
    return sum(number for kind, number in row.idling.items() if not _is_kept_up(kind))


def _is_kept_up(kind: str) -> bool:
    return kind.split()[1] == "leases" or kind.startswith("watch ")


_LINES: Final[dict[str, Callable[[Row], str]]] = {
    "creation to all children applied": lambda row: f"{row.created:.1f} s",
    "processor time of that": lambda row: (
        f"{row.usage['created'].cpu - row.usage['started'].cpu:.1f} s"
    ),
    "calls for each creation: writes + Events + reads": _calls,
    "edit to child updated, P50": _quantile(50),
    "P95": _quantile(95),
    "P99": _quantile(99),
    "calls for each edit": lambda row: f"{sum(row.editing.values()) / len(row.edits):.2f}",
    "idle, {idle}: calls but for the Lease and watches": lambda row: f"{_asked(row)}",
    "processor time of that ": lambda row: f"{row.idle_cpu:.1f} s",
    "restart until all are looked at": lambda row: f"{row.restart:.1f} s",
    "writes in it": lambda row: f"{_writes(row.restarting)}",
    "calls in it": lambda row: f"{sum(row.restarting.values()):,}",
    "memory without a Registry": _memory("started"),
    "memory after creation": _memory("created"),
    "memory after edits": _memory("edited"),
    "peak": lambda row: f"{row.usage['edited'].peak:.0f} MiB",
    "memory after a restart": _memory("restarted"),
    "memory of that after {idle} idle": _memory("settled"),
}
