# SPDX-License-Identifier: Apache-2.0
"""Whether a registry's certificate is good: an ordered chain of named checks. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cais_operator.certificates import (
    Authority,
    Facts,
    Leaf,
    facts,
    is_pair,
    is_signed_by,
    leaf_from,
)
from cais_operator.names import Hosts


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The certificate is good: use it as it is."""

    leaf: Leaf
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A new certificate is needed.

    Attributes:
        reason: Machine word, CamelCase; the condition's reason.
        message: Why, for a person.
    """

    reason: str
    message: str


def decide(  # noqa: PLR0913 - what a verdict needs
    secret: Mapping[str, Any] | None,
    authority: Authority,
    wanted: Hosts,
    *,
    renew_before: timedelta,
    now: datetime,
    may_replace: bool = True,
) -> Keep | Issue:
    """Judge the TLS Secret.

    Args:
        secret: The live one; None when there is none.
        authority: Whose signature is wanted.
        wanted: Names and addresses that the certificate must cover, exactly.
        renew_before: How long before its end a certificate is renewed.
        now: Aware, UTC.
        may_replace: Whether a good certificate of the authority before is to be replaced now.

    Returns:
        Keep, or Issue with the first check that failed, in this order: SecretMissing, Unparsable,
        KeyMismatch, WrongAuthority, AuthorityReplaced, NamesDiffer, NotYetValid, Expiring.
    """
    if secret is None:
        return _MISSING
    try:
        found = _Found(
            leaf=leaf_from(secret),
            authority=authority,
            wanted=wanted,
            renew_before=renew_before,
            now=now,
            may_replace=may_replace,
        )
    except ValueError as error:
        return _unparsable(error)
    failed = filter(None, (check(found) for check in _CHAIN))
    return next(failed, Keep(leaf=found.leaf, facts=found.facts))


def _unparsable(error: ValueError) -> Issue:
    message = f"the certificate's Secret cannot be used: {error}"
    return Issue(reason="Unparsable", message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What every check may look at."""

    leaf: Leaf
    authority: Authority
    wanted: Hosts
    renew_before: timedelta
    now: datetime
    may_replace: bool
    facts: Facts = field(init=False)
    is_pair: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", facts(self.leaf.certificate))
        object.__setattr__(self, "is_pair", is_pair(self.leaf.certificate, self.leaf.key))

    @property
    def is_of_former(self) -> bool:
        """Whether the authority before signed it."""
        former = self.authority.former
        return bool(former) and is_signed_by(self.leaf.certificate, former)


def _key_mismatch(found: _Found) -> Issue | None:
    if found.is_pair:
        return None
    return Issue(reason="KeyMismatch", message="the private key does not fit the certificate")


def _wrong_authority(found: _Found) -> Issue | None:
    if found.is_of_former or is_signed_by(found.leaf.certificate, found.authority.certificate):
        return None
    return Issue(
        reason="WrongAuthority", message="the certificate is not signed by this installation's CA"
    )


def _authority_replaced(found: _Found) -> Issue | None:
    if not (found.may_replace and found.is_of_former):
        return None
    return Issue(reason="AuthorityReplaced", message="the installation has a new CA")


def _names_differ(found: _Found) -> Issue | None:
    has = found.facts.dns | found.facts.ips
    wants = {*found.wanted.dns, *found.wanted.ips}
    if has == wants:
        return None
    lacks = ", ".join(sorted(wants - has)) or "nothing"
    extra = ", ".join(sorted(has - wants)) or "nothing"
    return Issue(reason="NamesDiffer", message=f"the certificate lacks {lacks}; too much: {extra}")


def _not_yet_valid(found: _Found) -> Issue | None:
    if found.facts.not_before <= found.now:
        return None
    message = f"the certificate is valid only from {found.facts.not_before.isoformat()}"
    return Issue(reason="NotYetValid", message=message)


def _expiring(found: _Found) -> Issue | None:
    # A certificate that ends with its CA cannot be renewed: a new one would end then, too.
    ends_with_authority = (
        not found.is_of_former
        and found.facts.not_after >= facts(found.authority.certificate).not_after
    )
    if found.now < found.facts.not_after - found.renew_before or ends_with_authority:
        return None
    return Issue(
        reason="Expiring", message=f"the certificate ends {found.facts.not_after.isoformat()}"
    )


_MISSING = Issue(reason="SecretMissing", message="there is no certificate yet")
_CHAIN: tuple[Callable[[_Found], Issue | None], ...] = (
    _key_mismatch,
    _wrong_authority,
    _authority_replaced,
    _names_differ,
    _not_yet_valid,
    _expiring,
)
