# SPDX-License-Identifier: Apache-2.0
"""What a rule of retention says about tags and untagged manifests. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from cais_registry.config.retention import Retention, RetentionRule
from cais_registry.model.globs import matches_repo, matches_text

_ATTACHED: Final = re.compile(
    r"(?:(sha256)-([0-9a-f]{64})|(sha512)-([0-9a-f]{128}))(?:\.sig|\.att|\.sbom)?"
)
_MICROSECOND: Final = timedelta(microseconds=1)


class Kind(StrEnum):
    """What goes."""

    TAG = "tag"
    MANIFEST = "manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """A tag as it was seen.

    Attributes:
        name: The tag.
        digest: Of the manifest that it points at.
        pushed_at: When it was pointed there, microseconds since 1970.
    """

    name: str
    digest: str
    pushed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """Something that a rule does not keep.

    Attributes:
        kind: Tag or manifest.
        reference: Name of the tag, or the digest again.
        digest: Of the manifest.
        since: When the tag was pushed, or the manifest lost its last tag; microseconds since 1970.
        reason: For a person: which rule, and why it does not keep it.
    """

    kind: Kind
    reference: str
    digest: str
    since: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The time for which a run decides.

    Attributes:
        now: Microseconds since 1970.
        lease: `push_lease` in microseconds.
        knows_pulls: Whether all servers have written down the pulls they counted until then.
    """

    now: int
    lease: int = 0
    knows_pulls: bool = False

    def before(self, time: timedelta) -> int:
        """The moment so long ago."""
        return self.now - micros(time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Asks what the store knows about a tag, only when a decision hangs on it.

    Attributes:
        is_protected: Whether a tag must not be deleted at all (immutable).
        exists: Whether a manifest is there, by digest.
        is_pulled: Whether a manifest, or one that it lists, was pulled at or after a moment.
        pulls_known_since: The moment since which all pulls are known: before it any may have been
            missed, so everything counts as pulled then. None: nothing is known.
    """

    is_protected: Callable[[str], bool]
    exists: Callable[[str], bool]
    is_pulled: Callable[[str, int], bool]
    pulls_known_since: Callable[[], int | None]


@dataclass(slots=True, kw_only=True)
class Judge:
    """Decides about the tags of one repository, which are shown newest first.

    Attributes:
        rule: The rule.
        moment: The time.
        last: Names of the newest tags, those that `keep_last` keeps.
    """

    rule: RetentionRule
    moment: Moment
    last: set[str] = field(default_factory=set)

    def going(self, tag: Tagged, facts: Facts) -> Going | None:
        """Tell why a tag goes; None keeps it."""
        if self.is_spared(tag, facts):
            return None
        if self.rule.keep_last is not None and len(self.last) < self.rule.keep_last:
            self.last.add(tag.name)
            return None
        if self.is_recent(tag, facts):
            return None
        return Going(
            kind=Kind.TAG,
            reference=tag.name,
            digest=tag.digest,
            since=tag.pushed_at,
            reason=self._reason(tag),
        )

    def is_spared(self, tag: Tagged, facts: Facts) -> bool:
        """Whether a tag is kept for what it is; such a tag does not count for `keep_last`."""
        if any(matches_text(glob, tag.name) for glob in self.rule.keep_tags):
            return True
        subject = attached_to(tag.name)
        is_attached = subject is not None and subject != tag.digest and facts.exists(subject)
        return is_attached or facts.is_protected(tag.name)

    def is_recent(self, tag: Tagged, facts: Facts) -> bool:
        """Whether a tag was pushed or pulled within the times that keep."""
        rule, moment = self.rule, self.moment
        newer = rule.keep_newer_than
        if newer is not None and tag.pushed_at > moment.before(newer):
            return True
        if rule.keep_pulled_within is None:
            return False
        start = moment.before(rule.keep_pulled_within)
        known = facts.pulls_known_since() if moment.knows_pulls else None
        return known is None or known > start or facts.is_pulled(tag.digest, start)

    def replace_lost(self, lost: Sequence[str], next_ones: Sequence[Going]) -> int:
        """Some of the newest tags were deleted by a client meanwhile: the next ones move up.

        Returns:
            How many of `next_ones` are kept now.
        """
        self.last.difference_update(lost)
        moved = next_ones[: len(lost)]
        self.last.update(one.reference for one in moved)
        return len(moved)

    def _reason(self, tag: Tagged) -> str:
        rule = self.rule
        why = [f"pushed {_day(tag.pushed_at)}"]
        if rule.keep_tags:
            why.append("matches none of keepTags")
        if rule.keep_last is not None:
            why.append(f"not one of the newest {rule.keep_last}")
        if rule.keep_newer_than is not None:
            why.append(f"older than {_hours(rule.keep_newer_than)}")
        if rule.keep_pulled_within is not None:
            why.append(f"not pulled within {_hours(rule.keep_pulled_within)}")
        return f"{rule.name}: {', '.join(why)}"


def rule_for(retention: Retention, repository: str) -> RetentionRule | None:
    """The first rule whose repositories match; None: everything is kept for ever."""
    return next((rule for rule in retention.rules if _covers(rule, repository)), None)


def _covers(rule: RetentionRule, repository: str) -> bool:
    return any(matches_repo(glob, repository) for glob in rule.repositories)


def attached_to(name: str) -> str | None:
    """The digest that a tag `sha256-<hex>[.sig|.att|.sbom]` is about; None for other tags."""
    found = _ATTACHED.fullmatch(name)
    if found is None:
        return None
    algorithm, encoded = (part for part in found.groups() if part is not None)
    return f"{algorithm}:{encoded}"


def untagged(rule: RetentionRule, digest: str, since: int, *, was_tagged: bool) -> Going:
    """A manifest that has had no tag for longer than the rule keeps such."""
    what = "untagged" if was_tagged else "never tagged, pushed"
    after = _hours(rule.untagged_after or timedelta(0))
    return Going(
        kind=Kind.MANIFEST,
        reference=digest,
        digest=digest,
        since=since,
        reason=f"{rule.name}: {what} {_day(since)}, more than {after} ago, in no kept index",
    )


def micros(time: timedelta) -> int:
    """A time in microseconds."""
    return time // _MICROSECOND


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1e6, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _hours(time: timedelta) -> str:
    hours, rest = divmod(round(time.total_seconds()), 3600)
    return f"{hours}h" if not rest else f"{hours}h{rest // 60}m{rest % 60}s"
