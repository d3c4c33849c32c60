# SPDX-License-Identifier: Apache-2.0
"""Kinds of other projects that the operator writes, as definitions of our own.

They have the group, names and fields that we use, with the types that their documents give, so
that an API server refuses what the real ones would: an unknown field, a wrong type, a word that is
not allowed. What their controllers do is played by tests.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer"}
_DURATION: Schema = {"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_FIELDS = ("type", "status", "reason", "message", "lastTransitionTime")
_CONDITIONS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["type", "status"],
        "properties": dict.fromkeys(_FIELDS, _TEXT),
    },
}


def _object(required: tuple[str, ...] = (), **fields: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": fields}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _one_of(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def _definition(group: str, version: str, names: Mapping[str, Any], schema: Schema) -> Schema:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{names['plural']}.{group}",
            # groups under k8s.io ask for it
            "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in for tests"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": dict(names),
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


CERTIFICATE = _definition(
    "cert-manager.io",
    "v1",
    {"kind": "Certificate", "plural": "certificates", "singular": "certificate"},
    _object(
        spec=_object(
            ("issuerRef", "secretName"),
            secretName=_TEXT,
            commonName=_TEXT,
            dnsNames=_TEXTS,
            ipAddresses=_TEXTS,
            duration=_TEXT,
            renewBefore=_TEXT,
            isCA={"type": "boolean"},
            usages={
                "type": "array",
                "items": _one_of(
                    "signing",
                    "digital signature",
                    "key encipherment",
                    "cert sign",
                    "server auth",
                    "client auth",
                ),
            },
            privateKey=_object(
                algorithm=_one_of("RSA", "ECDSA", "Ed25519"),
                encoding=_one_of("PKCS1", "PKCS8"),
                rotationPolicy=_one_of("Never", "Always"),
                size={"type": "integer"},
            ),
            issuerRef=_object(("name",), name=_TEXT, kind=_TEXT, group=_TEXT),
        ),
        status=_object(conditions=_CONDITIONS, notAfter=_TEXT, renewalTime=_TEXT),
    ),
)
_REF = _object(("name",), group=_TEXT, kind=_TEXT, name=_TEXT, namespace=_TEXT)
HTTP_ROUTE = _definition(
    "gateway.networking.k8s.io",
    "v1",
    {"kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute"},
    _object(
        ("spec",),
        spec=_object(
            parentRefs=_list(
                _object(("name",), name=_TEXT, namespace=_TEXT, sectionName=_TEXT, port=_NUMBER)
            ),
            hostnames=_TEXTS,
            rules=_list(
                _object(
                    matches=_list(
                        _object(
                            path=_object(
                                type=_one_of("Exact", "PathPrefix", "RegularExpression"),
                                value=_TEXT,
                            )
                        )
                    ),
                    timeouts=_object(request=_DURATION, backendRequest=_DURATION),
                    backendRefs=_list(_object(("name",), name=_TEXT, port=_NUMBER, weight=_NUMBER)),
                )
            ),
        ),
        status=_object(
            parents=_list(_object(parentRef=_REF, controllerName=_TEXT, conditions=_CONDITIONS))
        ),
    ),
)
BACKEND_TLS_POLICY = _definition(
    "gateway.networking.k8s.io",
    "v1",
    {
        "kind": "BackendTLSPolicy",
        "plural": "backendtlspolicies",
        "singular": "backendtlspolicy",
    },
    _object(
        ("spec",),
        spec=_object(
            ("targetRefs", "validation"),
            targetRefs=_list(
                _object(
                    ("group", "kind", "name"),
                    group=_TEXT,
                    kind=_TEXT,
                    name=_TEXT,
                    sectionName=_TEXT,
                )
            ),
            validation=_object(
                ("hostname",),
                hostname=_TEXT,
                caCertificateRefs=_list(
                    _object(("group", "kind", "name"), group=_TEXT, kind=_TEXT, name=_TEXT)
                ),
                wellKnownCACertificates=_one_of("System"),
            ),
        ),
    ),
)
FOREIGN = ("cert-manager.io/v1", "gateway.networking.k8s.io/v1")
FOREIGN_KINDS = (CERTIFICATE, HTTP_ROUTE, BACKEND_TLS_POLICY)
