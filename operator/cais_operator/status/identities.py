# SPDX-License-Identifier: Apache-2.0
"""Whether tokens are a login. Pure."""

from collections.abc import Iterator

from cais_operator import names
from cais_operator.observed import Observed
from cais_operator.resource import Registry
from cais_operator.status.conditions import Condition

_TYPE = "IdentitiesReady"


def condition(registry: Registry, observed: Observed) -> Condition | None:
    """Return IdentitiesReady; None where the spec names nobody who logs in with a token."""
    wanted = tuple(_wanted(registry))
    if not wanted:
        return None
    missing = [name for name in wanted if not _is_known(name, observed)]
    if missing:
        words = _words(missing, observed)
        message = f"nobody can log in with a token whose issuer's keys are missing: {words}"
        return Condition(type=_TYPE, status="False", reason="KeysMissing", message=message)
    if observed.issuer_problems:
        words = _words(sorted(observed.issuer_problems), observed)
        message = f"the keys that were read before go on, they cannot be renewed: {words}"
        return Condition(type=_TYPE, status="True", reason="KeysNotRenewed", message=message)
    message = f"tokens are a login: {', '.join(_told(registry, observed))}"
    return Condition(type=_TYPE, status="True", reason="KeysRead", message=message)


def _wanted(registry: Registry) -> Iterator[str]:
    access = registry.spec.access
    if access.names_service_accounts:
        yield ""
    yield from (issuer.name for issuer in access.issuers)


def _is_known(name: str, observed: Observed) -> bool:
    issuers = observed.issuers
    return name in issuers.keys if name else issuers.cluster is not None


def _words(names_of: list[str], observed: Observed) -> str:
    problems = observed.issuer_problems
    return "; ".join(
        f"{name or 'the cluster'}: {problems.get(name, 'not read yet')}" for name in names_of
    )


def _told(registry: Registry, observed: Observed) -> Iterator[str]:
    own, cluster = names.audience(registry), observed.issuers.cluster
    if cluster is not None:
        yield f"of ServiceAccounts for the audience {own} (issuer {cluster.issuer})"
    for issuer in registry.spec.access.issuers:
        audiences = " or ".join(issuer.audiences or (own,))
        yield f"of {issuer.name} for the audience {audiences} (issuer {issuer.issuer})"
