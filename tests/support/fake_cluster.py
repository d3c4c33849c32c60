# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API of dicts: enough of it for a reconcile, and every request is written down."""

import itertools
import pickle
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cais_operator import errors, names
from cais_operator.cluster import PAGE, Listing, Object, Page, Selection, WatchEvent

_T = TypeVar("_T")
Id = tuple[str, str, str]
_WRITES = ("create", "replace", "apply", "apply_status", "patch", "delete")


class Crash(BaseException):
    """The operator was killed here; nothing of it may catch this."""


@dataclass(slots=True, kw_only=True)
class Killer:
    """Kills the operator at one of its writes; put its methods into `FakeCluster.before`, `after`.

    Attributes:
        stop: Which write, counted from 1.
        at: How many there were.
    """

    stop: int
    at: int = 0

    def watch(self, verb: str, kind: str, name: str) -> None:
        """Look at what the write before has made; to be overridden."""

    def kill(self, verb: str, kind: str, name: str) -> None:
        if verb in {"get", "list"}:
            return
        self.at += 1
        if self.at == self.stop:
            raise Crash(f"{verb} {kind} {name}")

    def watch_and_kill(self, verb: str, kind: str, name: str) -> None:
        self.watch(verb, kind, name)
        self.kill(verb, kind, name)


def _copy(value: _T) -> _T:
    """Copy JSON values, which is much faster than `copy.deepcopy`."""
    copied: _T = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own
    return copied


class FakeCluster:
    """Implements `cais_operator.cluster.Cluster`."""

    def __init__(self) -> None:
        self.objects: dict[Id, Object] = {}
        self.requests: list[tuple[str, str, str]] = []  # verb, kind, name
        self.before: Callable[[str, str, str], None] = lambda *_: None
        self.after: Callable[[str, str, str], None] = lambda *_: None
        self.documents: dict[str, bytes | Exception] = {}  # by path
        self._addresses: dict[str, int] = {}
        self._versions = itertools.count(1)
        self._ids = itertools.count(1)

    def __deepcopy__(self, _: object) -> "FakeCluster":
        """A cluster in the same state, that nobody watches yet."""
        made = FakeCluster()
        made.objects, made.documents = _copy((self.objects, self.documents))
        made.requests, made._addresses = [*self.requests], {**self._addresses}
        made._versions = itertools.count(next(self._versions))
        made._ids = itertools.count(next(self._ids))
        return made

    @property
    def writes(self) -> list[tuple[str, str, str]]:
        return [one for one in self.requests if one[0] in _WRITES]

    def put(self, live: Object) -> Object:
        """Place an object as some other client would."""
        live = _copy(live)
        metadata = live["metadata"]
        metadata.setdefault("namespace", "team-a")
        metadata.setdefault("uid", f"uid-{next(self._ids)}")
        metadata["resourceVersion"] = str(next(self._versions))
        self.objects[live["kind"], metadata["namespace"], metadata["name"]] = live
        return live

    def change(self, kind: str, name: str, **parts: Any) -> None:
        """Edit an object as a controller would: top-level parts are merged."""
        live = self.objects[kind, "team-a", name]
        for part, value in parts.items():
            live[part] = {**live.get(part, {}), **value}
        live["metadata"]["resourceVersion"] = str(next(self._versions))

    async def get(self, kind: str, namespace: str, name: str) -> Object:
        self._note("get", kind, name)
        return _copy(self._find(kind, namespace, name))

    async def list(self, selection: Selection) -> Listing:
        self._note("list", selection.kind, selection.labels)
        found = [
            _copy(live)
            for (kind, namespace, _), live in self.objects.items()
            if kind == selection.kind
            and selection.namespace in (None, namespace)
            and _matches(live, selection.labels)
        ]
        return found, str(next(self._versions))

    async def pages(self, selection: Selection, size: int = PAGE) -> AsyncIterator[Page]:
        found, version = await self.list(selection)
        for start in range(0, max(1, len(found)), size):
            yield iter(found[start : start + size]), version

    async def create(self, manifest: Object) -> Object:
        with self._writing("create", manifest) as (identity, live):
            if live is not None:
                raise errors.Conflict(f"{identity} exists")
            return self._store(manifest, {"operation": "Update"})

    async def replace(self, manifest: Object) -> Object:
        with self._writing("replace", manifest) as (identity, live):
            if live is None:
                raise errors.NotFound(f"{identity}")
            if live["metadata"]["resourceVersion"] != manifest["metadata"]["resourceVersion"]:
                raise errors.Conflict(f"{identity} has changed")
            return self.put(manifest)

    async def apply(self, manifest: Object) -> Object:
        with self._writing("apply", manifest) as (_, live):
            return self._store(manifest, {"operation": "Apply"}, live)

    async def apply_status(self, manifest: Object) -> Object:
        with self._writing("apply_status", manifest) as (identity, live):
            if live is None:
                raise errors.NotFound(f"{identity}")
            if live["metadata"]["uid"] != manifest["metadata"]["uid"]:
                raise errors.Conflict(f"{identity} is another one")
            live["status"] = _copy(manifest["status"])
            return self.put(live)

    async def patch(
        self, kind: str, namespace: str, name: str, change: Mapping[str, Any]
    ) -> Object:
        self._note("patch", kind, name)
        live = self._find(kind, namespace, name)
        version = change.get("metadata", {}).get("resourceVersion")
        if version not in (None, live["metadata"]["resourceVersion"]):
            raise errors.Conflict(f"{kind} {name} has changed")
        found = _copy(self.put(_merged(live, change)))
        self.after("patch", kind, name)
        return found

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str) -> None:
        self._note("delete", kind, name)
        if self._find(kind, namespace, name)["metadata"]["uid"] != uid:
            raise errors.Conflict(f"{kind} {name} is another one")
        del self.objects[kind, namespace, name]
        self.after("delete", kind, name)

    async def document(self, path: str, *, most: int) -> bytes:
        self._note("get", "", path)
        found = self.documents.get(path, errors.NotFound(f"{path}: not found"))
        if isinstance(found, Exception):
            raise found
        assert len(found) <= most
        return found

    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[WatchEvent]:
        for _ in ():
            yield _
        raise NotImplementedError(f"{selection} from {resource_version}")

    def _address(self, service: str) -> str:
        """The first Service is always at 10.96.0.7."""
        number = self._addresses.setdefault(service, len(self._addresses) + 7)
        return f"10.96.0.{number}"

    def _find(self, kind: str, namespace: str, name: str) -> Object:
        if (kind, namespace, name) not in self.objects:
            raise errors.NotFound(f"{kind} {namespace}/{name}")
        return self.objects[kind, namespace, name]

    def _note(self, verb: str, kind: str, name: str) -> None:
        self.before(verb, kind, name)
        self.requests.append((verb, kind, name))

    def _writing(self, verb: str, manifest: Object) -> "_Writing":
        return _Writing(self, verb, manifest)

    def _store(
        self, manifest: Object, entry: Mapping[str, str], live: Object | None = None
    ) -> Object:
        made = _copy(manifest)
        before = live or {"metadata": {}}
        metadata = {**before["metadata"], **made["metadata"]}
        fields = {"manager": names.MANAGER, **entry, "fieldsV1": _fields(_bare(made))}
        metadata["managedFields"] = [fields]
        generation = before["metadata"].get("generation", 0)
        metadata["generation"] = generation + (before.get("spec") != made.get("spec"))
        stored = {**made, "metadata": metadata}
        if "status" in before:
            stored["status"] = before["status"]
        if stored["kind"] == "Service":
            stored["spec"].setdefault("clusterIP", self._address(stored["metadata"]["name"]))
        return _copy(self.put(stored))


class _Writing:
    """Notes a write before and after, so that a test can cut in at both."""

    def __init__(self, cluster: FakeCluster, verb: str, manifest: Object) -> None:
        self._cluster = cluster
        self._verb = verb
        metadata = manifest["metadata"]
        self._id = (manifest["kind"], metadata["namespace"], metadata["name"])

    def __enter__(self) -> tuple[Id, Object | None]:
        self._cluster._note(self._verb, self._id[0], self._id[2])
        return self._id, _copy(self._cluster.objects.get(self._id))

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._cluster.after(self._verb, self._id[0], self._id[2])


def _merged(live: Any, change: Any) -> Any:
    """JSON merge patch."""
    if not isinstance(change, Mapping):
        return _copy(change)
    result = dict(live) if isinstance(live, Mapping) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _matches(live: Object, selector: str) -> bool:
    labels = live["metadata"].get("labels") or {}
    wanted = (part.split("=") for part in selector.split(",") if part)
    return all(labels.get(key) == value for key, value in wanted)


def _bare(manifest: Object) -> Object:
    """What FieldsV1 speaks of: everything but the identity."""
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in ("name", "namespace")}
    rest = {k: v for k, v in manifest.items() if k not in ("apiVersion", "kind", "metadata")}
    return {"metadata": metadata, **rest}


def _fields(value: Any) -> Object:
    """FieldsV1 of an applied object, with every list taken as one value."""
    if not isinstance(value, dict) or not value:
        return {}
    return {f"f:{key}": _fields(below) for key, below in value.items()}
