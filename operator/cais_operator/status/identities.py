# SPDX-License-Identifier: Apache-2.0
"""Whether tokens of ServiceAccounts are a login. Pure."""

from cais_operator import names
from cais_operator.observed import Observed
from cais_operator.resource import Registry
from cais_operator.status.conditions import Condition

_TYPE = "IdentitiesReady"


def condition(registry: Registry, observed: Observed) -> Condition | None:
    """Return IdentitiesReady; None where no rule names ServiceAccounts."""
    if not registry.spec.access.names_service_accounts:
        return None
    problem = observed.issuer_problem
    if observed.issuer is None:
        words = problem or "they have not been read yet"
        message = f"no ServiceAccount can log in without the cluster's keys: {words}"
        return Condition(type=_TYPE, status="False", reason="KeysMissing", message=message)
    if problem is not None:
        message = (
            f"the cluster's keys that were read before go on, they cannot be renewed: {problem}"
        )
        return Condition(type=_TYPE, status="True", reason="KeysNotRenewed", message=message)
    message = (
        f"tokens of ServiceAccounts for the audience {names.audience(registry)} are a login "
        f"(issuer {observed.issuer.issuer})"
    )
    return Condition(type=_TYPE, status="True", reason="KeysRead", message=message)
