# SPDX-License-Identifier: Apache-2.0
"""Which fields of a live object the operator owns, and another value for each. No effects."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cais_operator import names

Leaf = tuple[str, Any]  # JSON pointer, value


def owned(live: Mapping[str, Any]) -> Iterator[Leaf]:
    """Yield each scalar, and each value that is owned as a whole, of the operator's entries."""
    for entry in live["metadata"].get("managedFields") or ():
        if entry["manager"] == names.MANAGER and not entry.get("subresource"):
            yield from _leaves(live, entry["fieldsV1"], "")


def _leaves(value: Any, fields: Mapping[str, Any], path: str) -> Iterator[Leaf]:
    for key, below in fields.items():
        kind, _, text = key.partition(":")
        if kind == "f" and isinstance(value, dict) and text in value:
            inner = f"{path}/{text.replace('~', '~0').replace('/', '~1')}"
            if below:
                yield from _leaves(value[text], below, inner)
            else:
                yield inner, value[text]
        elif kind == "k":
            keys = json.loads(text)
            for index, item in enumerate(value):
                if all(item.get(name) == wanted for name, wanted in keys.items()):
                    rest = {one: less for one, less in below.items() if one[2:] not in keys}
                    yield from _leaves(item, rest, f"{path}/{index}")


def at(live: Any, pointer: str) -> Any:
    """The value there; None when there is none."""
    for part in pointer.strip("/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        try:
            live = live[int(name)] if isinstance(live, list) else live[name]
        except (KeyError, IndexError, TypeError):
            return None
    return live


def changes(kind: str, leaf: Leaf) -> Iterator[dict[str, Any]]:
    """JSON patches that make a field something else, the mildest first; some may be refused."""
    pointer, value = leaf
    if kind == "Secret" and pointer.startswith("/data/"):
        yield {"op": "replace", "path": pointer, "value": "eA=="}
    elif isinstance(value, bool):
        yield {"op": "replace", "path": pointer, "value": not value}
    elif isinstance(value, int):
        yield {"op": "replace", "path": pointer, "value": value + 1}
    elif isinstance(value, str):
        yield {"op": "replace", "path": pointer, "value": value + "x"}
    yield {"op": "remove", "path": pointer}
