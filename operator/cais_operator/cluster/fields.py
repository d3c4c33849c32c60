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
import json
import logging
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

from cais_operator import names

_IDENTITY = ("apiVersion", "kind")
_IDENTITY_METADATA = ("name", "namespace")
_log = logging.getLogger(__name__)
_MISSING = object()
# One encoder for all: `json.dumps` makes one for each call that wishes anything.
_compact = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def digest(manifest: Mapping[str, Any]) -> str:
    """Return the digest of a desired object in normal form."""
    bare = {key: value for key, value in manifest.items() if key not in _IDENTITY}
    metadata = bare.pop("metadata", {})
    rest = {key: value for key, value in metadata.items() if key not in _IDENTITY_METADATA}
    if rest:
        bare["metadata"] = rest
    return _hash(bare)


def part_digest(part: object) -> str:
    """Return the digest of a part of a desired object in normal form; see `own_digest`."""
    return _hash(part)


def own_digest(live: Mapping[str, Any], *path: str) -> str:
    """Return the digest of what the live object, or a part of it, still holds of our last apply.

    Empty when we never applied it, and when the entry does not describe the object: anyone who
    may write the object may write its managedFields, so nothing in them may end the operator.
    """
    try:
        for entry in live.get("metadata", {}).get("managedFields") or ():
            if _is_ours(entry):
                own = _project(live, entry.get("fieldsV1") or {})
                return _hash(reduce(lambda part, name: part[name], path, own))
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        _log.warning("managedFields of an object cannot be read: taken for not ours")
    return ""


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return (
        entry.get("manager") == names.MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def _project(value: Any, fields: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    inner = {key: below for key, below in fields.items() if key != "."}
    if not inner:  # a leaf, or the thing itself: all of it is ours
        return value if not fields else _empty(value)
    if isinstance(value, Mapping):
        return _project_mapping(value, inner)
    if isinstance(value, list):
        return list(_project_items(value, inner))
    return _MISSING


def _empty(value: Any) -> Any:  # noqa: ANN401 - see _project
    """An owned but empty container, whatever others have put into it since."""
    return type(value)() if isinstance(value, (dict, list)) else value


def _project_mapping(value: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    result = {}
    for key, below in fields.items():
        name = key.removeprefix("f:")
        if name in value:
            result[name] = _project(value[name], below)
    return result


def _project_items(items: list[Any], fields: Mapping[str, Any]) -> Iterator[Any]:
    for key, below in fields.items():
        kind, _, text = key.partition(":")
        wanted = json.loads(text)
        for item in items:
            if kind == "v" and item == wanted:
                yield item
            elif kind == "k" and isinstance(item, Mapping) and _has(item, wanted):
                yield _project(item, below)


def _has(item: Mapping[str, Any], keys: Mapping[str, Any]) -> bool:
    return all(item.get(key) == value for key, value in keys.items())


def _hash(value: Any) -> str:  # noqa: ANN401 - see _project
    return hashlib.sha256(_compact(_sorted(value)).encode()).hexdigest()


def _sorted(value: Any) -> Any:  # noqa: ANN401 - see _project
    """Sort lists of objects: a list that has keys has no order of its own in FieldsV1."""
    if isinstance(value, dict):
        return {key: _sorted(one) for key, one in value.items()}
    if isinstance(value, list):
        items = [_sorted(one) for one in value]
        if len(items) > 1 and all(isinstance(one, dict) for one in items):
            items.sort(key=_compact)
        return items
    return value
