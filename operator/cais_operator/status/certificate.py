# SPDX-License-Identifier: Apache-2.0
"""The certificate: may clients trust the server now? Pure."""

from datetime import datetime
from typing import Any

from cais_operator import names
from cais_operator.certificates import Facts, facts, leaf_from
from cais_operator.observed import Observed
from cais_operator.resource import Registry
from cais_operator.status.conditions import Condition, stamp

_TYPE = "CertificateReady"


def condition(registry: Registry, observed: Observed, now: datetime) -> Condition:
    """Return CertificateReady."""
    secret = names.tls_secret(registry)
    found = _facts(registry, observed)
    if found is None:
        return _not_yet("Missing", f"the Secret {secret} holds no certificate yet")
    if found.not_after <= now:
        return _not_yet("Expired", f"the certificate in {secret} ended {stamp(found.not_after)}")
    message = f"the certificate in {secret} is valid until {stamp(found.not_after)}"
    return Condition(type=_TYPE, status="True", reason="Issued", message=message)


def block(registry: Registry, observed: Observed) -> dict[str, Any] | None:
    """Return `status.certificate`; None while there is no certificate."""
    found = _facts(registry, observed)
    if found is None:
        return None
    return {
        "notAfter": stamp(found.not_after),
        "renewAt": stamp(found.not_after - registry.spec.tls.issued.renew_before.delta),
        "sha256": found.sha256,
    }


def _facts(registry: Registry, observed: Observed) -> Facts | None:
    secret = observed.child("Secret", names.tls_secret(registry))
    try:
        return None if secret is None else facts(leaf_from(secret).certificate)
    except ValueError:
        return None


def _not_yet(reason: str, message: str) -> Condition:
    return Condition(type=_TYPE, status="False", reason=reason, message=message)
