# SPDX-License-Identifier: Apache-2.0
"""What a server's admin API answers, checked before it is believed. Pure.

An older server leaves out what it does not know, and so does the result. What is there has to be of
its kind, or the whole answer is refused: a status is written from it, and kept.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from cais_operator.observed import ServerState

_MOST = 1 << 62  # a number of a status has 64 bits, with room for rounding up
_LONGEST = 1024  # characters of a message
_LONGEST_VERSION = 64

_Answer: TypeAlias = Mapping[str, Any]


def state_of(config: _Answer, gc: _Answer, usage: _Answer) -> ServerState:
    """Return what a server has said.

    Args:
        config: Body of `GET config`.
        gc: Body of `GET gc`.
        usage: Body of `GET usage`.

    Raises:
        ValueError: If something in it is not of its kind; says what.
    """
    found = _object(_CONFIG)(config, "config")
    return ServerState(
        version=found.get("version"),
        files=found.get("files", {}),
        config_error=found.get("error"),
        retention_problems=tuple((found.get("retention") or {}).get("problems") or ()),
        usage=_object(_USAGE)(usage, "usage"),
        gc=_object(_RUNS)(gc, "gc"),
    )


_Reader: TypeAlias = Callable[[object, str], Any]


def _object(shape: Mapping[str, _Reader]) -> _Reader:
    """Read the known fields of an object; what is null counts as left out."""

    def read(value: object, where: str) -> dict[str, Any]:
        given = _mapping(value, where)
        return {
            key: reader(given[key], f"{where}.{key}")
            for key, reader in shape.items()
            if given.get(key) is not None
        }

    return read


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _odd(where, "an object")
    return value


def _count(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise _odd(where, "a whole number from 0 on")
    return value


def _seconds(value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise _odd(where, "a number of seconds")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise _odd(where, "true or false")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _odd(where, "a text")
    return value[:_LONGEST]


def _version(value: object, where: str) -> str:
    text = _text(value, where)
    if not 0 < len(text) <= _LONGEST_VERSION:
        raise _odd(where, "a version")
    return text


def _time(value: object, where: str) -> str:
    text = _text(value, where)
    try:
        is_clear = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        is_clear = False
    if not is_clear:
        raise _odd(where, "a time with its zone")
    return text


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _odd(where, "a list")
    return tuple(_text(one, where) for one in value)


def _texts_by_name(value: object, where: str) -> dict[str, str]:
    return {key: _text(text, where) for key, text in _mapping(value, where).items()}


def _odd(where: str, kind: str) -> ValueError:
    return ValueError(f"its answer cannot be read: {where} is not {kind}")


_RUN = _object(
    {
        "state": _text,
        "startedAt": _time,
        "finishedAt": _time,
        "durationSeconds": _seconds,
        "tagsDeleted": _count,
        "untaggedDeleted": _count,
        "blobsDeleted": _count,
        "bytesReclaimed": _count,
        "message": _text,
    }
)
_RUNS = {"current": _RUN, "last": _RUN, "lastSuccess": _RUN, "lastDryRun": _RUN}
_USAGE = {
    "repositories": _count,
    "tags": _count,
    "bytes": _count,
    "bytesReclaimable": _count,
    "quota": _object({"used": _count, "limit": _count}),
    "disk": _object({"capacity": _count, "available": _count, "reserve": _count}),
    "storagePressure": _flag,
}
_CONFIG = {
    "version": _version,
    "files": _texts_by_name,
    "error": _text,
    "retention": _object({"problems": _texts}),
}
