# SPDX-License-Identifier: Apache-2.0
"""From JSON values to dataclasses, with every problem found and none raised.

Only the shapes that `spec` uses are known: dataclasses, strings with a pattern, literals, integers,
booleans, tuples, mappings, and values that parse themselves (`Duration`, `Quantity`).
"""

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

from cais_operator.errors import Problem
from cais_operator.resource.checks import AtLeast, Limit, Pattern, Range, Together
from cais_operator.resource.durations import Duration
from cais_operator.resource.quantities import Quantity

T = TypeVar("T")


def camel(name: str) -> str:
    """Return the JSON name of a field: `undelete_window` is `undeleteWindow`."""
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def decode(kind: type[T], value: object, path: str) -> tuple[T, tuple[Problem, ...]]:
    """Fill `kind` from a JSON value.

    Args:
        kind: A dataclass whose fields all have one of the known shapes.
        value: What the API server holds.
        path: Of the value, for messages.

    Returns:
        The object and the problems. With problems the object is not to be used.
    """
    decoder = _Decoder()
    return decoder.value(kind, value, path), tuple(decoder.problems)


class _Decoder:
    """Walks type and value together and notes what does not fit."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def value(self, kind: Any, value: object, path: str) -> Any:  # noqa: ANN401 - any JSON value
        kind, checks = unwrap(kind)
        if dataclasses.is_dataclass(kind) and kind not in _SCALARS:
            return self._object(kind, value, path)
        origin = typing.get_origin(kind)
        if origin is tuple:
            return self._items(kind, checks, value, path)
        if origin is Mapping:
            return self._mapping(kind, value, path)
        if origin is typing.Literal:
            return self._one_of(typing.get_args(kind), value, path)
        return self._scalar(kind, checks, value, path)

    def _refuse(self, path: str, value: object, rule: str) -> None:
        self.problems.append(Problem(field=path, value=value, rule=rule))

    def _object(self, kind: Any, value: object, path: str) -> Any:  # noqa: ANN401 - see value
        if not isinstance(value, Mapping):
            return self._refuse(path, value, "must be an object")
        given, hints = _shape(kind)
        for name in value.keys() - given.keys():
            rule = f"is not a field; known are {', '.join(given)}"
            self._refuse(f"{path}.{name}", value[name], rule)
        found = dict(self._fields(given, hints, value, path))
        return None if self.problems else kind(**found)

    def _fields(
        self,
        given: Mapping[str, dataclasses.Field[Any]],
        hints: Mapping[str, Any],
        value: Mapping[str, Any],
        path: str,
    ) -> Iterator[tuple[str, Any]]:
        for name, field in given.items():
            here = f"{path}.{name}"
            if value.get(name) is not None:
                yield field.name, self.value(hints[field.name], value[name], here)
            elif _required(field):
                self._refuse(here, None, "is required")

    def _items(self, kind: Any, checks: tuple[Any, ...], value: object, path: str) -> Any:  # noqa: ANN401
        if not isinstance(value, list):
            return self._refuse(path, value, "must be a list")
        for check in checks:
            if isinstance(check, Limit) and len(value) > check.most:
                self._refuse(path, len(value), f"may have at most {check.most} items")
            if isinstance(check, AtLeast) and len(value) < check.least:
                self._refuse(path, value, f"must have at least {check.least} item")
            length = sum(len(str(one)) for one in value)
            if isinstance(check, Together) and length > check.most:
                rule = f"may have at most {check.most} characters together"
                self._refuse(path, length, rule)
        item = typing.get_args(kind)[0]
        return tuple(self.value(item, one, f"{path}[{at}]") for at, one in enumerate(value))

    def _mapping(self, kind: Any, value: object, path: str) -> Any:  # noqa: ANN401 - see value
        if not isinstance(value, Mapping):
            return self._refuse(path, value, "must be an object")
        item = typing.get_args(kind)[1]
        if item is Any:
            return value
        return {key: self.value(item, one, f"{path}.{key}") for key, one in value.items()}

    def _one_of(self, allowed: tuple[Any, ...], value: object, path: str) -> Any:  # noqa: ANN401
        if value not in allowed:
            self._refuse(path, value, f"must be one of {', '.join(map(str, allowed))}")
        return value

    def _scalar(self, kind: Any, checks: tuple[Any, ...], value: object, path: str) -> Any:  # noqa: ANN401
        accepted, name, read = _SCALARS[kind]
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            return self._refuse(path, value, f"must be {name}")
        for check in checks:
            if isinstance(check, Pattern) and not check.allows(str(value)):
                self._refuse(path, value, check.rule)
            if isinstance(check, Range) and isinstance(value, int) and not check.allows(value):
                self._refuse(path, value, f"must be from {check.least} to {check.most}")
        try:
            return read(value)
        except ValueError as error:
            return self._refuse(path, value, str(error))


@cache
def _shape(kind: Any) -> tuple[Mapping[str, dataclasses.Field[Any]], Mapping[str, Any]]:  # noqa: ANN401
    """Return the fields of a dataclass by their JSON names, and their types by their own."""
    given = {camel(field.name): field for field in dataclasses.fields(kind)}
    return given, typing.get_type_hints(kind, include_extras=True)


def unwrap(kind: Any) -> tuple[Any, tuple[Any, ...]]:  # noqa: ANN401 - any type hint
    """Take `Optional` and `Annotated` off a type hint.

    Returns:
        The bare type, and the checks that annotated it.
    """
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(one for one in typing.get_args(kind) if one is not types.NoneType)
    if typing.get_origin(kind) is typing.Annotated:
        inner, *checks = typing.get_args(kind)
        return inner, tuple(checks)
    return kind, ()


def _required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


_SCALARS: Mapping[Any, tuple[type | tuple[type, ...], str, Callable[[Any], Any]]] = {
    str: (str, "a string", str),
    int: (int, "an integer", int),
    bool: (bool, "true or false", bool),
    Duration: (str, "a string", Duration.parse),
    Quantity: ((str, int), "a quantity", Quantity.parse),
}
