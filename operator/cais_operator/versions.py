# SPDX-License-Identifier: Apache-2.0
"""Which versions of the server this operator works with, and what each of them can read. Pure.

A server refuses a configuration with a field that it does not know, because a rule that nobody
enforces is worse than none. So one that is pinned to an older version is written only what it
knows: what the operator adds by itself is left out, what the spec asks for is refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from cais_operator import __version__
from cais_operator.errors import Problem
from cais_operator.resource import Registry, Spec


class Version(NamedTuple):
    """A release; what comes after its three numbers is not looked at."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read `1.2.3` or `1.2.3-rc.1`, as `spec.version` has it.

        Raises:
            ValueError: When it is anything else.
        """
        major, minor, patch = text.partition("-")[0].split(".")
        return cls(int(major), int(minor), int(patch))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


_FIRST = Version(0, 1, 0)
OLDEST = _FIRST
"""The oldest server that this operator works with: of the minor version before, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of the server's configuration.

    Attributes:
        since: The first version that reads it.
        asked: Path of the field of the spec that asks for it; empty: the operator adds it.
    """

    since: Version = _FIRST
    asked: str = ""


_ADDED = """
    data listen
    tls tls.certFile tls.keyFile
    auth auth.htpasswdFile auth.realm
    access access.anonymous access.rules
    garbageCollection garbageCollection.pushLease garbageCollection.undeleteWindow
    tokens tokens.keyFile tokens.service tokens.realms
"""
FIELDS: Mapping[str, Field] = {
    **dict.fromkeys(_ADDED.split(), Field()),
    "access.issuers": Field(asked="access.issuers"),
    "database": Field(asked="database"),
    "database.urlFile": Field(asked="database"),
    "storage": Field(asked="storage.s3"),
    "storage.s3": Field(asked="storage.s3"),
    "quota": Field(asked="quota"),
    "readOnly": Field(asked="readOnly"),
    "immutableTags": Field(asked="immutableTags"),
    "retention": Field(asked="retention"),
}
"""What the operator writes: fields of the file, and of the blocks in it."""


def problems(
    registry: Registry, fields: Mapping[str, Field] = FIELDS, own: str = __version__
) -> Iterator[Problem]:
    """Yield why the version that is asked for cannot run, or cannot do what the spec asks for.

    Args:
        registry: The Registry.
        fields: As in `FIELDS`.
        own: The operator's version. A newer patch of its minor version is fine, a newer minor is
            for the operator of that version.
    """
    if registry.spec.version is None:
        return
    version, newest = Version.parse(registry.spec.version), Version.parse(own)
    if not version >= OLDEST or version[:2] > newest[:2]:
        rule = (
            f"this operator, {own}, works with servers from {OLDEST} to "
            f"{newest.major}.{newest.minor}.x"
        )
        yield Problem(field="spec.version", value=registry.spec.version, rule=rule)
    for field in lacking(registry.spec, version, fields):
        rule = f"does not know spec.{field.asked}: take {field.since} or newer, or leave it out"
        yield Problem(field="spec.version", value=registry.spec.version, rule=rule)


def lacking(spec: Spec, version: Version, fields: Mapping[str, Field] = FIELDS) -> Iterator[Field]:
    """Yield what a spec asks for and a server of that version cannot do."""
    for field in fields.values():
        if field.since > version and field.asked and _is_asked(spec, field.asked):
            yield field


def readable(
    document: Mapping[str, Any], version: Version | None, fields: Mapping[str, Field] = FIELDS
) -> dict[str, Any]:
    """Return of a configuration what a server of that version reads.

    Args:
        document: The whole configuration.
        version: None is the operator's own, which reads all.
        fields: As in `FIELDS`.
    """
    if version is None:
        return dict(document)
    unread = {path for path, field in fields.items() if field.since > version}
    return _without(document, unread, "")


def pinned(registry: Registry) -> Version | None:
    """Return the version that a spec asks for."""
    return None if registry.spec.version is None else Version.parse(registry.spec.version)


def running(registry: Registry) -> Version | None:
    """Return the version that runs, as the server said last; None when that is not known."""
    try:
        return Version.parse(registry.status["version"])
    except (KeyError, ValueError, AttributeError):
        return None


def _without(document: Mapping[str, Any], unread: set[str], above: str) -> dict[str, Any]:
    return {
        key: _without(value, unread, f"{above}{key}.") if isinstance(value, Mapping) else value
        for key, value in document.items()
        if above + key not in unread
    }


def _is_asked(spec: Spec, path: str) -> bool:
    name = "".join(f"_{one.lower()}" if one.isupper() else one for one in path)
    value = attrgetter(name)
    return bool(value(spec) != value(Spec()))


def image(registry: Registry, default: str) -> str:
    """Return the server's image: the default one, or that of the version that is asked for.

    Args:
        registry: The Registry.
        default: The operator's `registry_image`; with its digest where that is the version asked.
    """
    version = registry.spec.version
    name, _, _ = default.partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:  # the colon is that of a port, or there is none
        repository, tag = name, ""
    return default if version in (None, tag) else f"{repository}:{version}"
