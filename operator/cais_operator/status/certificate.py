# SPDX-License-Identifier: Apache-2.0
"""The certificate: may clients trust the server now? Pure."""

from datetime import datetime
from typing import Any

from cais_operator import names
from cais_operator.brought import Refusal
from cais_operator.certificates import Facts, facts_in
from cais_operator.observed import Observed
from cais_operator.resource import Issued, Registry
from cais_operator.status.conditions import Condition, stamp

_TYPE = "CertificateReady"
_LONGEST = 300  # characters of cert-manager's words


def condition(registry: Registry, observed: Observed, now: datetime) -> Condition:
    """Return CertificateReady."""
    secret = names.tls_secret(registry)
    if registry.spec.tls.is_disabled:
        return _disabled(registry)
    found = _facts(registry, observed)
    if isinstance(observed.brought, Refusal):
        words = _words(registry, observed.brought, observed)
        return _refused(observed.brought, found, words)
    if found is None:
        return _not_yet("Missing", f"the Secret {secret} holds no certificate yet")
    if found.not_after <= now:
        return _not_yet("Expired", f"the certificate in {secret} ended {stamp(found.not_after)}")
    message = f"the certificate in {secret} is valid until {stamp(found.not_after)}"
    if registry.spec.tls.is_issued:
        if observed.authority:
            message += f"; {observed.authority}"
        return Condition(type=_TYPE, status="True", reason="Issued", message=message)
    message += f"; it was taken from Secret {names.brought_secret(registry)}"
    return Condition(type=_TYPE, status="True", reason="Taken", message=message)


def block(registry: Registry, observed: Observed) -> dict[str, Any] | None:
    """Return `status.certificate`; None while there is no certificate."""
    tls = registry.spec.tls
    found = None if tls.is_disabled else _facts(registry, observed)
    asked = observed.child("Certificate", names.certificate(registry))
    block: dict[str, Any] = {}
    if asked is not None:
        block["certificateName"] = names.certificate(registry)
    if found is not None:
        block |= {"notAfter": stamp(found.not_after), "sha256": found.sha256}
        if tls.is_issued:
            renew_before = (tls.issued or Issued()).renew_before
            block["renewAt"] = stamp(found.not_after - renew_before.delta)
    return block or None


def _disabled(registry: Registry) -> Condition:
    message = (
        "there is no TLS, as spec.tls.disabled asks: passwords and images travel in clear to "
        f"{names.url(registry)}; name another kind in spec.tls where the network is not trusted"
    )
    return Condition(
        type=_TYPE,
        status="False",
        reason="TlsDisabled",
        message=message,
        waits=False,
        is_asked_for=True,
    )


def _refused(refusal: Refusal, served: Facts | None, words: str) -> Condition:
    kept = "no server runs before there is one"
    if served is not None:
        kept = f"the one before it is served on; it ends {stamp(served.not_after)}"
    return Condition(
        type=_TYPE,
        status="False",
        reason=refusal.reason,
        message=f"{words}; {kept}",
        waits=refusal.waits,
        stalls=not refusal.waits,
    )


def _words(registry: Registry, refusal: Refusal, observed: Observed) -> str:
    """Return why, with what cert-manager says of a certificate that it has not issued."""
    if registry.spec.tls.cert_manager is None or refusal.reason != "SecretMissing":
        return refusal.message
    words = f"cert-manager has not filled the Secret {names.certificate(registry)} yet"
    live = observed.child("Certificate", names.certificate(registry)) or {}
    for one in (live.get("status") or {}).get("conditions") or []:
        if one.get("type") == "Ready" and one.get("message"):
            words += f": {str(one['message'])[:_LONGEST]}"
    return words


def _facts(registry: Registry, observed: Observed) -> Facts | None:
    return facts_in(observed.child("Secret", names.tls_secret(registry)))


def _not_yet(reason: str, message: str) -> Condition:
    return Condition(type=_TYPE, status="False", reason=reason, message=message)
