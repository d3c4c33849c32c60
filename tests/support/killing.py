# SPDX-License-Identifier: Apache-2.0
"""Plays a change of a Registry again and again, with the operator killed at another call each time.

The calls are those that the change costs when nobody is killed. After each kill an operator starts
anew and has to come to the same end, with nothing generated twice on the way.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from signal import SIGKILL
from typing import Any

from cais_operator.settings import Settings
from support.apiserver import wait_for
from support.forked import Forked, forked
from support.operators import PATHS, Place
from support.proxy import Proxies, Proxy
from support.proxy_calls import Call, Fault

_AT_ONCE = 4
_DEADLINE = 180.0  # seconds; several operators at once on a machine that may be busy
_NEVER = "was never called"
_QUIET = 0.25  # seconds without a call after which one looks whether all is done
_KINDS = tuple(kind for kind in PATHS if kind not in ("Event", "Lease", "RegistryAccess"))
_FOREIGN = ("HTTPRoute", "BackendTLSPolicy", "Certificate")  # not known to these API servers
_GENERATED = ("tls.key", "next.key", "password", "next-password", "previous-password", "keys")
_RUNNING = {
    "replicas": 1,
    "updatedReplicas": 1,
    "readyReplicas": 1,
    "availableReplicas": 1,
}

Objects = frozenset[tuple[str, str]]  # kind and name


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where the operator is killed: at the call, or when it is done and not answered."""

    what: str
    number: int
    is_after: bool

    def __str__(self) -> str:
        return f"{'after' if self.is_after else 'before'} {self.what} #{self.number}"

    def strikes(self, call: Call) -> Fault | None:
        if (call.what, call.number) != (self.what, self.number):
            return None
        return Fault(kill_before=not self.is_after, kill_after=self.is_after)


@dataclass(slots=True, kw_only=True)
class Trial:
    """One play.

    Attributes:
        place: Its namespaces.
        proxy: What the operator's calls go through.
        log: Of all its operators.
        made: Each generated value that was ever stored, by Secret.
        claims: The uid of each claim that there ever was.
        killed: Whether the operator was.
    """

    place: Place
    proxy: Proxy
    log: Path
    made: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    claims: set[str] = field(default_factory=set)
    killed: bool = False

    def heard(self, call: Call, live: dict[str, Any]) -> None:
        """Note what is stored, and play provisioner, controllers and kubelet."""
        kind = live.get("kind")
        if kind == "Secret" and call.verb != "delete":
            self.made[live["metadata"]["name"]] |= _generated(live)
        if kind == "PersistentVolumeClaim" and call.verb != "delete":
            self.claims.add(live["metadata"]["uid"])
            if live["status"].get("phase") != "Bound":
                self._play(kind, live, {"phase": "Bound", "capacity": {"storage": "10Gi"}})
        if kind == "Deployment" and call.verb != "delete":
            generation = live["metadata"]["generation"]
            if live["status"].get("observedGeneration") != generation:
                self._play(kind, live, {"observedGeneration": generation} | _RUNNING)

    def _signal(self, running: Forked, number: int) -> None:
        running.signal(number)
        self.killed = self.killed or number == SIGKILL

    def _play(self, kind: str, live: dict[str, Any], status: dict[str, Any]) -> None:
        path = self.place.path(kind, live["metadata"]["name"]) + "/status"
        self.proxy.send(path, {"status": status})

    @contextmanager
    def operator(
        self, *, leader_elect: bool = False, health_listen: str = "127.0.0.1:0"
    ) -> Iterator[Forked]:
        settings = Settings(
            namespaces=(self.place.team,),
            kubeconfig=self.proxy.kubeconfig,
            system_namespace=self.place.system,
            health_listen=health_listen,
            ca_overlap=timedelta(0),
            leader_elect=leader_elect,
        )
        with forked(settings, self.place.api.kubeconfig, self.log) as running:
            self.proxy.signal = partial(self._signal, running)
            yield running

    def is_settled(self) -> bool:
        """Whether the Registry says that all it asks for is done."""
        live = self.place.get("Registry", "team") or {}
        status = live.get("status") or {}
        ready = [one["status"] for one in status.get("conditions") or () if one["type"] == "Ready"]
        is_seen = status.get("observedGeneration") == live.get("metadata", {}).get("generation")
        return bool(is_seen and ready == ["True"])

    def stored(self) -> dict[str, set[str]]:
        """Each generated value that is stored now, by Secret."""
        place = self.place
        paths = (place.path("Secret", namespace=one) for one in (place.team, place.system))
        found = (one for path in paths for one in place.api.request("GET", path)["items"])
        return {one["metadata"]["name"]: _generated(one) for one in found}

    def objects(self) -> Objects:
        kinds = (kind for kind in _KINDS if kind not in _FOREIGN)
        return frozenset(
            (kind, one["metadata"]["name"]) for kind in kinds for one in self.place.all(kind)
        )


def _generated(live: dict[str, Any]) -> set[str]:
    data = live.get("data") or {}
    return {data[key] for key in _GENERATED if key in data}


@contextmanager
def settled(
    proxies: Proxies,
    place: Place,
    spec: dict[str, Any],
    folder: Path,
    health_listen: str = "127.0.0.1:0",
) -> Iterator[tuple[Trial, Forked]]:
    """A Registry that is as it should be, and its operator; calls are counted from then on."""
    with proxies.proxy() as proxy:
        trial = Trial(place=place, proxy=proxy, log=folder / f"{place.team}.log")
        proxy.heard = trial.heard
        place.create_registry(spec)
        with trial.operator(health_listen=health_listen) as running:
            wait_for(trial.is_settled, "Ready")
            wait_for(lambda: proxy.is_quiet(2 * _QUIET), "the operator is done")
            proxy.count_anew()
            yield trial, running


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that happens to a Registry.

    Attributes:
        name: Of the change.
        begin: Lets it happen.
        is_done: Whether it has come to its end.
        before: The spec of the Registry that is there and settled; None when there is none.
        twice: Secrets of which something is generated a second time, and no more.
        meanwhile: Looks at each call of the operator; for what happens at a certain one.
    """

    name: str
    begin: Callable[[Trial], None]
    is_done: Callable[[Trial], bool]
    before: dict[str, Any] | None = None
    twice: frozenset[str] = frozenset()
    meanwhile: Callable[[Trial, Call], None] = lambda *_: None


class Killing:
    """Plays a change on one API server."""

    def __init__(self, proxies: Proxies, place: Callable[[], Place], folder: Path) -> None:
        self._proxies = proxies
        self._place = place
        self._folder = folder

    def points(self, change: Change) -> tuple[list[Point], Objects]:
        """Play it without a kill; return where it may be killed, and what is there at the end."""
        trial = self.play(change, None)
        found = []
        for call in trial.proxy.calls:
            found.append(Point(what=call.what, number=call.number, is_after=False))
            if call.is_write:
                found.append(Point(what=call.what, number=call.number, is_after=True))
        return found, trial.objects()

    def play(self, change: Change, point: Point | None) -> Trial:
        """Play it, with a kill unless the call does not come; until it is at its end."""
        place = self._place()
        with self._proxies.proxy() as proxy:
            trial = Trial(place=place, proxy=proxy, log=self._folder / f"{place.team}.log")
            proxy.heard = trial.heard
            if change.before is not None:
                place.create_registry(change.before)
                with trial.operator():
                    _wait(trial, trial.is_settled, "the Registry is settled")
                    wait_for(lambda: proxy.is_quiet(4 * _QUIET), "no late Event comes")
                    self._strike(trial, change, point)
                    change.begin(trial)
                    self._wait_end(trial, change)
            else:
                self._strike(trial, change, point)
                change.begin(trial)
                with trial.operator():
                    self._wait_end(trial, change)
            if trial.killed:
                with trial.operator():
                    _wait(trial, partial(change.is_done, trial), f"{change.name}, {point}")
        _check(trial, change)
        return trial

    def _strike(self, trial: Trial, change: Change, point: Point | None) -> None:
        left = [] if point is None else [point]

        def rule(call: Call) -> Fault | None:
            change.meanwhile(trial, call)
            fault = left[0].strikes(call) if left else None
            if fault is not None:
                left.clear()
            return fault

        trial.proxy.count_anew()
        trial.proxy.rule = rule

    def _wait_end(self, trial: Trial, change: Change) -> None:
        _wait(trial, lambda: trial.killed or change.is_done(trial), change.name)


def _wait(trial: Trial, what: Callable[[], bool], words: str) -> None:
    """Until it is so and the operator is silent."""

    def is_so() -> bool:
        return what() if trial.killed else trial.proxy.is_quiet(_QUIET) and what()

    try:
        wait_for(is_so, words, _DEADLINE)
    except AssertionError as error:
        told = json.dumps((trial.place.get("Registry", "team") or {}).get("status"))
        lines = trial.log.read_text().splitlines()[-8:] if trial.log.exists() else []
        raise AssertionError("\n".join((str(error), told, *lines))) from error


def _check(trial: Trial, change: Change) -> None:
    """Nothing was made a second time."""
    for secret, values in trial.made.items():
        most = 2 if secret in change.twice else 1
        assert len(values) <= most, f"{change.name}: {secret} was generated {len(values)} times"
    assert len(trial.claims) <= 1, f"{change.name}: {len(trial.claims)} claims"


def survive(killing: Killing, change: Change) -> tuple[int, int, int]:
    """Kill at each point; fails when one end is not as it should be.

    Returns:
        How many calls an undisturbed run makes, at how many points a kill was tried, and how many
        of these came: events have no fixed order.
    """
    points, wanted = killing.points(change)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        ends = list(pool.map(partial(_end_of, killing, change, wanted), points))
    wrong = [f"{point}: {end}" for point, end in zip(points, ends, strict=True) if end]
    never = sum(_NEVER in one for one in wrong)
    failed = [one for one in wrong if _NEVER not in one]
    assert not failed, "\n".join(failed)
    assert never <= len(points) // 3, wrong
    calls = sum(not point.is_after for point in points)
    return calls, len(points), len(points) - never


def _end_of(killing: Killing, change: Change, wanted: Objects, point: Point) -> str:
    """What is wrong at the end; nothing, if all is well."""
    try:
        trial = killing.play(change, point)
    except AssertionError as error:
        return str(error)
    found = trial.objects()
    if found != wanted:
        return f"lacks {wanted - found}, has {found - wanted} besides"
    return "" if trial.killed else _NEVER
