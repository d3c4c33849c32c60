# SPDX-License-Identifier: Apache-2.0
"""Whether a registry's certificate is good: an ordered chain of named checks. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def decide(
    secret: Mapping[str, Any] | None,
    authority: Authority,
    wanted: Hosts,
    *,
    renew_before: timedelta,
    now: datetime,
) -> Keep | Issue:
    """Judge the TLS Secret as it is.

    Args:
        secret: The live Secret; None when there is none.
        authority: Whose signature is wanted.
        wanted: Names and addresses that the certificate must cover, exactly.
        renew_before: How long before its end a certificate is renewed.
        now: Aware, UTC.

    Returns:
        Keep with the material, or Issue with the first check that failed. Checks in order:
        SecretMissing, Unparsable, KeyMismatch, WrongAuthority, NamesDiffer, NotYetValid, Expiring.
    """
    if secret is None:
        return Issue(reason="SecretMissing", message="there is no certificate yet")
    try:
        leaf = leaf_from(secret)
        found = _Found(
            leaf=leaf,
            facts=facts(leaf.certificate),
            is_pair=is_pair(leaf.certificate, leaf.key),
            authority=authority,
            wanted=wanted,
            renew_before=renew_before,
            now=now,
        )
    except ValueError as error:
        message = f"the certificate's Secret cannot be used: {error}"
        return Issue(reason="Unparsable", message=message)
    failed = next(filter(None, (check(found) for check in _CHAIN)), None)
    return failed or Keep(leaf=leaf, facts=found.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What every check may look at."""

    leaf: Leaf
    facts: Facts
    is_pair: bool
    authority: Authority
    wanted: Hosts
    renew_before: timedelta
    now: datetime


def _key_mismatch(found: _Found) -> Issue | None:
    if found.is_pair:
        return None
    return Issue(reason="KeyMismatch", message="the private key does not fit the certificate")


def _wrong_authority(found: _Found) -> Issue | None:
    if is_signed_by(found.leaf.certificate, found.authority):
        return None
    return Issue(
        reason="WrongAuthority", message="the certificate is not signed by this installation's CA"
    )


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
    ends_with_authority = found.facts.not_after >= facts(found.authority.certificate).not_after
    if found.now < found.facts.not_after - found.renew_before or ends_with_authority:
        return None
    return Issue(
        reason="Expiring", message=f"the certificate ends {found.facts.not_after.isoformat()}"
    )


_CHAIN: tuple[Callable[[_Found], Issue | None], ...] = (
    _key_mismatch,
    _wrong_authority,
    _names_differ,
    _not_yet_valid,
    _expiring,
)
