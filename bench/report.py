# SPDX-License-Identifier: Apache-2.0
"""Figures as medians with their spread, and as ratios; the page that they are written to."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from peers import CACHE, OURS

from cais_registry import __version__

BASE = "Distribution 3"
_METHOD = "How it is measured"
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Figures of one scenario by peer, one for each round."""

    name: str
    unit: str
    target: str
    less: bool
    figures: dict[str, list[float]]


def ratio(row: Row, base: str = BASE) -> str:
    """Ours against a peer: median of the rounds' own ratios, smallest and largest behind it."""
    pairs = zip(row.figures[OURS], row.figures.get(base, []), strict=False)
    found = sorted(ours / theirs for ours, theirs in pairs if theirs)
    if not found:
        return ""
    return f"{median(found):.2f} ({found[0]:.2f}-{found[-1]:.2f})"


def figure(values: list[float]) -> str:
    """A median, and how far the rounds lay apart."""
    if not values:
        return ""
    return f"{_short(median(values))} ({_short(min(values))}-{_short(max(values))})"


def line(row: Row) -> str:
    """One row for a person who waits."""
    figures = ", ".join(f"{name} {figure(values)}" for name, values in row.figures.items())
    return f"{row.name} [{row.unit}]: {figures}; ratio {ratio(row)}, target {row.target or '-'}"


def table(rows: list[Row]) -> str:
    """A Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    head = ["scenario", "unit", *names, f"ours / {BASE}", "ours / nginx", "target"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [row.name, row.unit, *(figure(row.figures.get(name, [])) for name in names)]
        cells += [ratio(row), ratio(row, "nginx"), row.target]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def machine() -> str:
    """What it ran on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{os.cpu_count()} cores ({cpu[1] if cpu else platform.machine()}), {memory:.0f} GiB of"
        f" memory, Linux {platform.release()}; load generator and servers share them"
    )


def versions() -> str:
    """Of the peers, the tools, and ours."""
    commands = {
        "nginx": ["nginx", "-v"],
        BASE: [str(CACHE / "distribution"), "--version"],
        "Distribution 2.8": ["docker-registry", "--version"],
        "wrk": ["wrk", "-v"],
        "curl": ["curl", "--version"],
    }
    python = f"Python {platform.python_version()}"
    ours = f"cais-registry {__version__}, granian {version('granian')}, {python}"
    found = {OURS: ours} | {name: _first_line(command) for name, command in commands.items()}
    return "\n".join(f"- {name}: {text}" for name, text in found.items())


def page(sections: dict[str, list[Row]], *, disk: float, rounds: int, listings: str) -> str:
    """The whole page: words from page.md, with the figures of this run."""
    tables = "\n\n".join(f"### {name}\n\n{table(rows)}" for name, rows in sections.items())
    values = {
        "machine": machine(),
        "versions": versions(),
        "disk": f"{disk:.0f} MB/s",
        "rounds": str(rounds),
        "tables": tables,
        "listings": listings,
    }
    text = (_HERE / "page.md").read_text()
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], text)


def put_section(page: Path, title: str, text: str) -> None:
    """Write a section of a page anew, or make it where the description of the method begins."""
    before, found, rest = page.read_text().partition(f"## {title}\n")
    if found:
        _, _, after = rest.partition("\n## ")
    else:
        before, _, after = before.partition(f"## {_METHOD}")
        after = _METHOD + after
    page.write_text(f"{before}## {title}\n\n{text}\n\n## {after}")


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0].removeprefix(f"{CACHE}/")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
