# SPDX-License-Identifier: Apache-2.0
"""How the server's configuration speaks of issuers of tokens, and of whom they name. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cais_operator import names
from cais_operator.jwks import ALGORITHMS, Issuers
from cais_operator.observed import Live
from cais_operator.resource import Issuer, Registry, Rule

CONFIG_KEY = "server.yaml"
CLUSTER = ""
"""What the cluster is called among the names of issuers."""

_KIND = "kubernetes"


def block(registry: Registry, known: Issuers) -> dict[str, Any]:
    """Return the issuers for the block `access`; nothing without any."""
    found = list(_issuers(registry, known))
    return {"issuers": found} if found else {}


def _issuers(registry: Registry, known: Issuers) -> Iterator[dict[str, Any]]:
    if known.cluster is not None:
        yield {
            "issuer": known.cluster.issuer,
            "kind": _KIND,
            "audiences": [names.audience(registry)],
            "jwksFile": path_of(CLUSTER),
            "algorithms": list(ALGORITHMS),
        }
    for issuer in registry.spec.access.issuers:
        if issuer.name in known.keys:
            yield _issuer(registry, issuer)


def _issuer(registry: Registry, issuer: Issuer) -> dict[str, Any]:
    return {
        "issuer": issuer.issuer,
        "prefix": issuer.name,
        "audiences": list(issuer.audiences) or [names.audience(registry)],
        "jwksFile": path_of(issuer.name),
        "algorithms": list(ALGORITHMS),
        "maxLifetime": str(issuer.max_lifetime),
        "claims": {claim.name: list(claim.values) for claim in issuer.claims},
    }


def files(known: Issuers) -> dict[str, str]:
    """Return the files beside the configuration, by key of the ConfigMap."""
    cluster = {} if known.cluster is None else {key_of(CLUSTER): known.cluster.keys}
    return {**cluster, **{key_of(name): keys for name, keys in sorted(known.keys.items())}}


def keys_in(config: Live) -> dict[str, bytes]:
    """Return the content of the server's files with keys, by path, out of the ConfigMap."""
    found: Mapping[str, str] = config["data"]
    return {
        f"{names.CONFIG_DIRECTORY}/{key}": text.encode()
        for key, text in found.items()
        if key != CONFIG_KEY
    }


def key_of(name: str) -> str:
    """Return the key of the ConfigMap that holds the keys of an issuer."""
    return f"issuer-{name}.json" if name else "kubernetes-jwks.json"


def path_of(name: str) -> str:
    """Return where the server finds the keys of an issuer."""
    return f"{names.CONFIG_DIRECTORY}/{key_of(name)}"


def named(rule: Rule, known: Issuers) -> list[str]:
    """Return whom a rule names by tokens, of issuers that are known."""
    accounts = rule.service_accounts if known.cluster is not None else ()
    return [
        *(f"system:serviceaccount:{one.namespace}:{one.name or '*'}" for one in accounts),
        *(one for one in rule.identities if one.partition(":")[0] in known.keys),
    ]


def written(config: Live, name: str) -> tuple[str, str]:
    """Return an issuer and its keys out of a ConfigMap; by whom it was written is not known.

    Args:
        config: The ConfigMap.
        name: Of the issuer; `CLUSTER` for the cluster.

    Raises:
        KeyError, TypeError, ValueError: When it is not there.
    """
    data: Mapping[str, str] = config["data"]
    found = json.loads(data[CONFIG_KEY])["access"]["issuers"]
    issuer = next((one["issuer"] for one in found if one.get("prefix", CLUSTER) == name), None)
    if not isinstance(issuer, str):
        raise ValueError("no such issuer")  # noqa: TRY004 - of the content
    return issuer, data[key_of(name)]
