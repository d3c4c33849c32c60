# SPDX-License-Identifier: Apache-2.0
"""Kinds of the Prometheus operator that the chart renders, as `foreign_kinds` has others."""

from functools import partial
from typing import Any

from support.apiserver import ApiServer, wait_for

GROUP = "monitoring.coreos.com"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_TEXT = {"type": "string"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}


def _object(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


def _list(item: Any) -> dict[str, Any]:
    return {"type": "array", "items": item}


_RULE = _object(alert=_TEXT, expr=_TEXT, labels=_TEXTS, annotations=_TEXTS, **{"for": _TEXT}) | {
    "required": ["expr"]
}
_KEY = _object(name=_TEXT, key=_TEXT) | {"required": ["name", "key"]}
_RELABELING = _object(
    sourceLabels=_list(_TEXT),
    regex=_TEXT,
    targetLabel=_TEXT,
    replacement=_TEXT,
    action={"type": "string", "enum": ["replace", "labeldrop"]},
)
_SPECS = {
    "ServiceMonitor": _object(
        namespaceSelector=_object(any={"type": "boolean"}, matchNames=_list(_TEXT)),
        selector=_object(matchLabels=_TEXTS),
        endpoints=_list(
            _object(
                port=_TEXT,
                interval=_TEXT,
                scheme={"type": "string", "enum": ["http", "https"]},
                tlsConfig=_object(ca=_object(secret=_KEY, configMap=_KEY)),
                relabelings=_list(_RELABELING),
            )
        ),
    )
    | {"required": ["endpoints", "selector"]},
    "PrometheusRule": _object(groups=_list(_object(name=_TEXT, rules=_list(_RULE)))),
}


def define(api: ApiServer) -> None:
    """Apply the definitions; until they are served."""
    for kind, spec in _SPECS.items():
        plural = f"{kind.lower()}s"
        version = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": _object(spec=spec)},
        }
        name = f"{plural}.{GROUP}"
        body = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": name},
            "spec": {
                "group": GROUP,
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                "versions": [version],
            },
        }
        api.apply(f"{_DEFINITIONS}/{name}", body)
        wait_for(partial(api.find, f"/apis/{GROUP}/v1/{plural}"), f"{plural} are served")
