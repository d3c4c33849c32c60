# SPDX-License-Identifier: Apache-2.0
"""Each field that the operator sets is edited, one after another, and is put right."""

import time
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.apiserver import ApiServer, wait_for
from support.children import ON_A_VOLUME, OTHERS, Asked
from support.definitions import served
from support.foreign_kinds import FOREIGN_KINDS
from support.killing import Trial, settled
from support.operators import Place
from support.owned import Leaf, at, changes, owned
from support.proxy import Proxies

# A password that somebody writes into the Secret is taken: it is theirs to choose.
THEIRS = "/data/password"
PROMISED = 5.0  # seconds until a field is back
BUSY = 3.0  # times as long as that may take on a machine that does other work, too


@pytest.mark.timeout(1800)
def test_each_field_that_is_set_comes_back(proxies: Proxies, place: Place, tmp_path: Path) -> None:
    with settled(proxies, place, ON_A_VOLUME.spec, tmp_path) as (trial, _):
        for child in ON_A_VOLUME.children:
            _try(place, trial, *child)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("what", OTHERS)
def test_each_field_of_other_kinds_comes_back(
    api: ApiServer, proxies: Proxies, place: Place, tmp_path: Path, what: str
) -> None:
    with ExitStack() as stack:
        for kind in FOREIGN_KINDS:
            stack.enter_context(served(api, kind))
        trial = stack.enter_context(_complete(proxies, place, OTHERS[what], tmp_path))
        for child in OTHERS[what].children:
            _try(place, trial, *child)


@contextmanager
def _complete(proxies: Proxies, place: Place, asked: Asked, folder: Path) -> Iterator[Trial]:
    """A Registry with its children, and its operator."""
    place.give_backend()
    place.create_registry(asked.spec)
    with proxies.proxy() as proxy:
        trial = Trial(place=place, proxy=proxy, log=folder / f"{place.team}.log")
        with trial.operator():
            for child in asked.children:
                wait_for(partial(place.get, *child), f"{child} is there")
            yield trial


def _try(place: Place, trial: Trial, kind: str, name: str) -> None:
    live = place.get(kind, name)
    assert live is not None
    times, fixed = [], 0
    for leaf in sorted(owned(live), key=lambda one: one[0]):
        if leaf[0] == THEIRS:
            continue
        wait_for(lambda: trial.proxy.is_quiet(0.1), "the operator is done")
        begun = time.monotonic()
        edited = _edit(place, kind, name, leaf)
        if edited is None:
            fixed += 1
            continue
        is_back = partial(_is_back, place, kind, name, leaf, at(edited, leaf[0]))
        wait_for(is_back, f"{kind} {name} {leaf[0]}", 30)
        times.append(time.monotonic() - begun)
    slowest = max(times, default=0.0)
    print(f"| {kind} {name} | {len(times)} | {fixed} | {slowest:.2f} s |")  # noqa: T201
    assert times, f"no field of {kind} {name} could be edited"
    assert slowest < PROMISED * BUSY, f"{kind} {name} was put right too late"


def _edit(place: Place, kind: str, name: str, leaf: Leaf) -> dict[str, Any] | None:
    """Give it another value; None when the API server refuses, as of what cannot change."""
    for change in changes(kind, leaf):
        try:
            edited = place.api.request(
                "PATCH", place.path(kind, name), [change], "application/json-patch+json"
            )
        except urllib.error.HTTPError:
            continue
        if at(edited, leaf[0]) != leaf[1]:
            return edited
    return None


def _is_back(place: Place, kind: str, name: str, leaf: Leaf, edited: object) -> bool:
    """Whether it holds what it held; of what is generated something else than the edit."""
    now = at(place.get(kind, name), leaf[0])
    if kind == "Secret" and leaf[0].startswith("/data/"):
        return now is not None and now != edited
    return bool(now == leaf[1])
