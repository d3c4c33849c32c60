# SPDX-License-Identifier: Apache-2.0
"""`retention`: rules about what is deleted by itself.

A rule that cannot be read must never delete by mistake. So it is no error of the file: it becomes
a rule that keeps everything where it could match, and is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec

from cais_registry.config import durations
from cais_registry.config.errors import ConfigError
from cais_registry.config.globs import check_repositories, check_tags

MOST_RULES: Final = 64
MOST_GLOBS: Final = 64
MOST_LAST: Final = 1000
_NOTHING: Final = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """What is kept in some repositories. A rule that keeps by nothing keeps all tags.

    Attributes:
        name: Its place in the file, like `retention[0]`.
        repositories: Globs.
        keep_tags: Globs; tags that match are kept.
        keep_last: So many of the other tags are kept, the newest by their push.
        keep_newer_than: Tags pushed within this time are kept.
        keep_pulled_within: Tags pulled within this time are kept.
        untagged_after: Manifests that have had no tag for so long are deleted; None keeps them.
        dry_run: The rule reports what would go, and deletes nothing.
    """

    name: str
    repositories: tuple[str, ...]
    keep_tags: tuple[str, ...] = ()
    keep_last: int | None = None
    keep_newer_than: timedelta | None = None
    keep_pulled_within: timedelta | None = None
    untagged_after: timedelta | None = None
    dry_run: bool = False

    @property
    def limits_tags(self) -> bool:
        """Whether some tag may go by it."""
        times = (self.keep_last, self.keep_newer_than, self.keep_pulled_within)
        return bool(self.keep_tags) or any(one is not None for one in times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """All rules, in order: the first one whose repositories match counts.

    Attributes:
        rules: Those that can be read; one that cannot keeps everything where it matches.
        problems: What cannot be read and why, one line each.
    """

    rules: tuple[RetentionRule, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def counts_pulls(self) -> bool:
        """Whether some rule asks when tags were pulled."""
        return any(rule.keep_pulled_within is not None for rule in self.rules)


class _Unreadable(Exception):  # noqa: N818 - a signal inside this module
    """It cannot be told which repositories a rule is about."""


class _Written(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    repositories: tuple[str, ...]
    keep_tags: tuple[str, ...] = ()
    keep_last: int | None = None
    keep_newer_than: str | None = None
    keep_pulled_within: str | None = None
    untagged_after: str | None = None
    dry_run: bool = False


def parse(value: Any) -> Retention:  # noqa: ANN401 - what YAML or JSON hold
    """Read the block `retention`; never fails.

    Args:
        value: What the file holds; None when it holds nothing.
    """
    if value is None:
        return Retention()
    try:
        found = [_rule(f"retention[{at}]", one) for at, one in enumerate(_items(value))]
    except _Unreadable as error:
        return Retention(problems=(f"{error}; everything is kept in every repository",))
    return Retention(
        rules=tuple(rule for rule, _ in found),
        problems=tuple(f"{why}; everything is kept there" for _, why in found if why is not None),
    )


def _items(value: Any) -> list[Any]:  # noqa: ANN401 - see parse
    if not isinstance(value, list) or len(value) > MOST_RULES:
        raise _Unreadable(f"retention: must be a list of at most {MOST_RULES} rules")
    return value


def _rule(name: str, value: Any) -> tuple[RetentionRule, str | None]:  # noqa: ANN401 - see parse
    repositories = _repositories(name, value)
    try:
        return _read(name, value), None
    except (ConfigError, msgspec.ValidationError) as error:
        what, _, where = str(error).partition(" - at `$")
        field = name + where.rstrip("`")
        why = what if what.startswith(name) else f"{field}: {what}"
        return RetentionRule(name=name, repositories=repositories), why


def _repositories(name: str, value: Any) -> tuple[str, ...]:  # noqa: ANN401 - see parse
    """The part that says what else a rule could do harm to, so it is read first."""
    if not isinstance(value, dict):
        raise _Unreadable(f"{name}: must be an object")
    globs = value.get("repositories")
    if not isinstance(globs, list) or not 1 <= len(globs) <= MOST_GLOBS:
        raise _Unreadable(f"{name}.repositories: must be a list of 1 to {MOST_GLOBS} globs")
    try:
        check_repositories(f"{name}.repositories", [_text(name, glob) for glob in globs])
    except ConfigError as error:
        raise _Unreadable(str(error)) from error
    return tuple(globs)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _Unreadable(f"{name}.repositories: {value!r:.80} is not a text")
    return value


def _read(name: str, value: Any) -> RetentionRule:  # noqa: ANN401 - see parse
    written = msgspec.convert(value, _Written)
    if len(written.keep_tags) > MOST_GLOBS:
        raise ConfigError(f"{name}.keepTags: at most {MOST_GLOBS} globs")
    check_tags(f"{name}.keepTags", written.keep_tags)
    if written.keep_last is not None and not 1 <= written.keep_last <= MOST_LAST:
        raise ConfigError(f"{name}.keepLast: must be from 1 to {MOST_LAST}")
    return RetentionRule(
        name=name,
        repositories=written.repositories,
        keep_tags=written.keep_tags,
        keep_last=written.keep_last,
        keep_newer_than=_time(f"{name}.keepNewerThan", written.keep_newer_than),
        keep_pulled_within=_time(f"{name}.keepPulledWithin", written.keep_pulled_within),
        untagged_after=_duration(f"{name}.untaggedAfter", written.untagged_after),
        dry_run=written.dry_run,
    )


def _time(field: str, text: str | None) -> timedelta | None:
    """A time that keeps; none at all would keep nothing, which nobody means."""
    found = _duration(field, text)
    if found is not None and found <= _NOTHING:
        raise ConfigError(f"{field}: must be more than 0s")
    return found


def _duration(field: str, text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return durations.parse(text)
    except ConfigError as error:
        raise ConfigError(f"{field}: {error}") from error
