# SPDX-License-Identifier: Apache-2.0
"""Whether a registry's certificate is good: an ordered chain of named checks. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cais_operator.certificates import Authority, Facts, Leaf
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
    raise NotImplementedError
