# SPDX-License-Identifier: Apache-2.0
"""Does a live object hold what we applied? Found without a write, from its managedFields. Pure.

`managedFields` has one entry per manager with the set of fields it applied (format `FieldsV1`:
`f:name` a field, `k:{...}` an item of a list by its keys, `v:...` a value of a set, `.` the thing
itself).
The live object projected on our entry is what is left of our last apply; its digest equals the
digest of the desired object exactly when an apply would change nothing. A field that someone else
took over has left our entry, so even an edit that was undone shows.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache, reduce
from typing import Any

import msgspec

from cais_operator import names

_IDENTITY = ("apiVersion", "kind")
_IDENTITY_METADATA = ("name", "namespace")
_log = logging.getLogger(__name__)
_MISSING = object()
_UNREADABLE = (
    *(AttributeError, LookupError, RecursionError, TypeError, ValueError),
    msgspec.MsgspecError,
)
_compact = msgspec.json.Encoder(order="sorted").encode


def digest(manifest: Mapping[str, Any]) -> str:
    """Return the digest of a desired object in normal form."""
    bare = {key: value for key, value in manifest.items() if key not in _IDENTITY}
    metadata = bare.pop("metadata", {})
    rest = {key: value for key, value in metadata.items() if key not in _IDENTITY_METADATA}
    if rest:
        bare["metadata"] = rest
    return _hash(_sorted(bare))


def part_digest(part: object) -> str:
    """Return the digest of a part of a desired object in normal form; see `own_digests`."""
    return _hash(_sorted(part))


def own_digests(live: Mapping[str, Any], *path: str) -> tuple[str, str]:
    """Return the digests of what a live object, and a part of it, hold of our last apply.

    Empty when we never applied it, and when the entry does not describe the object: anyone who
    may write the object may write its managedFields, so nothing in them may end the operator.

    Args:
        live: The object.
        path: Of the part.
    """
    try:
        for entry in live.get("metadata", {}).get("managedFields") or ():
            if _is_ours(entry):
                own = _project(live, entry.get("fieldsV1") or {})
                part = reduce(lambda one, name: one[name], path, own) if path else None
                return _hash(own), _hash(part) if path else ""
    except _UNREADABLE:
        _log.warning("managedFields of an object cannot be read: taken for not ours")
    return "", ""


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return (
        entry.get("manager") == names.MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def _project(value: Any, fields: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    if not fields:  # a leaf: all of it is ours
        return _sorted(value)
    if len(fields) == 1 and "." in fields:
        return _empty(value)
    if isinstance(value, dict):
        return _project_mapping(value, fields)
    if isinstance(value, list):
        return _in_order(list(_project_items(value, fields)))
    raise TypeError("managedFields name what is inside of a scalar")


def _empty(value: Any) -> Any:  # noqa: ANN401 - see _project
    """An owned but empty container, whatever others have put into it since."""
    return type(value)() if isinstance(value, (dict, list)) else value


def _project_mapping(value: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    result = {}
    for key, below in fields.items():
        name = key.removeprefix("f:")
        if name in value and key != ".":
            one = value[name]
            is_whole = not below and not isinstance(one, (dict, list))  # most are
            result[name] = one if is_whole else _project(one, below)
    return result


def _project_items(items: list[Any], fields: Mapping[str, Any]) -> Iterator[Any]:
    for key, below in fields.items():
        if key == ".":
            continue
        kind, wanted = _item(key)
        for item in items:
            if kind == "v" and item == wanted:
                yield item
            elif kind == "k" and isinstance(item, dict) and _has(item, wanted):
                yield _project(item, below)


@lru_cache(maxsize=1024)  # containers, ports and volumes of all servers have the same keys
def _item(key: str) -> tuple[str, Any]:
    """Return of what kind an item's key is, and the value or the keys that it names."""
    kind, _, text = key.partition(":")
    return kind, msgspec.json.decode(text)


def _has(item: Mapping[str, Any], keys: Mapping[str, Any]) -> bool:
    for key, value in keys.items():  # noqa: SIM110 - `all` takes twice as long, for each item
        if item.get(key) != value:
            return False
    return True


def _hash(value: Any) -> str:  # noqa: ANN401 - see _project
    return hashlib.sha256(_compact(value)).hexdigest()


def _sorted(value: Any) -> Any:  # noqa: ANN401 - see _project
    """Sort lists of objects: a list that has keys has no order of its own in FieldsV1."""
    if isinstance(value, dict):
        return {
            key: _sorted(one) if isinstance(one, (dict, list)) else one
            for key, one in value.items()
        }
    if isinstance(value, list):
        return _in_order([_sorted(one) for one in value])
    return value


def _in_order(items: list[Any]) -> list[Any]:
    if len(items) > 1 and all(isinstance(one, dict) for one in items):
        items.sort(key=_compact)
    return items
