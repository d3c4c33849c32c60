# SPDX-License-Identifier: Apache-2.0
"""How the server's configuration speaks of ServiceAccounts and of the cluster's tokens. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from cais_operator import names
from cais_operator.jwks import ALGORITHMS, Published
from cais_operator.observed import Live
from cais_operator.resource import Registry, Rule

KEYS_KEY = "kubernetes-jwks.json"
CONFIG_KEY = "server.yaml"
_KIND = "kubernetes"


def issuers(registry: Registry, issuer: Published | None) -> dict[str, Any]:
    """Return the block of `access`; nothing without an issuer."""
    if issuer is None:
        return {}
    cluster = {
        "issuer": issuer.issuer,
        "kind": _KIND,
        "audiences": [names.audience(registry)],
        "jwksFile": names.CLUSTER_KEYS_FILE,
        "algorithms": list(ALGORITHMS),
    }
    return {"issuers": [cluster]}


def files(issuer: Published | None) -> dict[str, str]:
    """Return the files beside the configuration, by key of the ConfigMap."""
    return {} if issuer is None else {KEYS_KEY: issuer.keys}


def named(rule: Rule) -> list[str]:
    """Return the names that the tokens of a rule's ServiceAccounts speak of."""
    return [
        f"system:serviceaccount:{account.namespace}:{account.name or '*'}"
        for account in rule.service_accounts
    ]


def issuer_in(config: Live) -> tuple[str, str]:
    """Return the cluster's issuer and keys out of a ConfigMap that was written before.

    Raises:
        KeyError, TypeError, ValueError: When it is not there.
    """
    data: Mapping[str, str] = config["data"]
    found = json.loads(data[CONFIG_KEY])["access"]["issuers"]
    issuer = next((one["issuer"] for one in found if one["kind"] == _KIND), None)
    if not isinstance(issuer, str):
        raise ValueError("no issuer")  # noqa: TRY004 - of the content
    return issuer, data[KEYS_KEY]
