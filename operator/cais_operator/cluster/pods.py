# SPDX-License-Identifier: Apache-2.0
"""Why pods of servers wait, as the watch has shown it: a few words for each. Pure memory."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cais_operator import names
from cais_operator.cluster.interface import Cluster, Object, Selection
from cais_operator.cluster.watch import Watch
from cais_operator.resource import Key

_SERVERS = f"app.kubernetes.io/name=cais-registry,{names.COMPONENT}={names.REGISTRY}"


class Pods:
    """The servers' pods, by Registry and name."""

    def __init__(self) -> None:
        self._known: dict[Key, dict[str, Object]] = {}

    def of(self, key: Key) -> tuple[Object, ...]:
        """Return a Registry's pods, with the parts of their status that say why one waits."""
        return tuple(self._known.get(key, {}).values())

    def put(self, live: Mapping[str, Any]) -> Key | None:
        """Take one in; return whose it is when it has something new to say."""
        key, name, kept = key_of(live), live["metadata"]["name"], _kept(live)
        if key is None or self._known.get(key, {}).get(name) == kept:
            return None
        self._known.setdefault(key, {})[name] = kept
        return key

    def drop(self, live: Mapping[str, Any]) -> None:
        """Forget one that is gone; what that means its Deployment tells."""
        key = key_of(live)
        if key is None:
            return
        self._known.get(key, {}).pop(live["metadata"]["name"], None)
        if not self._known.get(key):
            self._known.pop(key, None)

    def listed(self, namespace: str | None, found: Iterable[Mapping[str, Any]]) -> set[Key]:
        """Take a new list in; return whose pods have something new to say."""
        found = list(found)
        there = {(key_of(one), one["metadata"]["name"]) for one in found}
        for whose in [one for one in self._known if namespace in (None, one.namespace)]:
            for name in [one for one in self._known[whose] if (whose, one) not in there]:
                del self._known[whose][name]
            if not self._known[whose]:
                del self._known[whose]
        return {key for one in found if (key := self.put(one)) is not None}


def watch_pods(
    cluster: Cluster,
    place: str | None,
    pods: Pods,
    *,
    told: Callable[[Key], None],
    clock: Callable[[], float],
) -> Watch:
    """Return a watch that keeps the pods of a namespace, or of all; `told` when one has news."""

    def changed(change: str, live: Object) -> None:
        if change == "DELETED":
            pods.drop(live)
        elif (key := pods.put(live)) is not None:
            told(key)

    def listed(found: list[Object]) -> None:
        for key in pods.listed(place, found):
            told(key)

    selection = Selection(kind="Pod", namespace=place, labels=_SERVERS)
    return Watch(
        cluster, selection, listed=listed, changed=changed, clock=clock, kept=_without_spec
    )


def _without_spec(live: Object) -> Object:
    return {key: part for key, part in live.items() if key != "spec"}


def key_of(live: Mapping[str, Any]) -> Key | None:
    """Return whose server runs in it, by its label."""
    metadata = live["metadata"]
    name = (metadata.get("labels") or {}).get(names.INSTANCE)
    return Key(metadata["namespace"], name) if name else None


def _kept(live: Mapping[str, Any]) -> Object:
    status = live.get("status") or {}
    found = map(_lacking, status.get("containerStatuses") or ())
    lacking = [one for one in found if one]
    unscheduled = [
        one
        for one in status.get("conditions") or ()
        if one.get("type") == "PodScheduled" and one.get("status") == "False"
    ]
    return {
        "metadata": {"name": live["metadata"]["name"]},
        "status": {"containerStatuses": lacking, "conditions": unscheduled},
    }


def _lacking(container: Mapping[str, Any]) -> Object:
    """Return what says that a container waits, or runs and is not ready; else nothing."""
    waiting = (container.get("state") or {}).get("waiting")
    kept: Object = {"state": {"waiting": waiting}} if waiting else {}
    if container.get("started") and not container.get("ready"):
        kept |= {"started": True, "ready": False}
    return kept
