# SPDX-License-Identifier: Apache-2.0
"""Titles and times of the steps."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the demo.

    Attributes:
        title: What is going to be seen.
        act: Does it; an exception means that it failed.
    """

    title: str
    act: Callable[[], None]


def tell(steps: Sequence[Step], clock: Callable[[], float] = time.monotonic) -> None:
    """Do the steps in order, each under its title, with the time since the start in seconds.

    Args:
        steps: What to do.
        clock: Seconds that never go back.
    """
    start = clock()
    width = len(str(len(steps)))
    for number, step in enumerate(steps, start=1):
        print(f"\n=== {number:{width}}/{len(steps)} [{clock() - start:6.1f} s] {step.title}\n")
        begun = clock()
        step.act()
        print(f"--- done in {clock() - begun:.1f} s", flush=True)
    print(f"\n=== all {len(steps)} steps done [{clock() - start:6.1f} s]", flush=True)
