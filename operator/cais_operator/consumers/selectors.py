# SPDX-License-Identifier: Apache-2.0
"""Label selectors of namespaces, as Kubernetes reads them. Pure."""

from collections.abc import Mapping

from cais_operator.resource import LabelRequirement, NamespaceSelector

NAME_LABEL = "kubernetes.io/metadata.name"  # on every namespace, and nobody can change it


def selects(selector: NamespaceSelector, labels: Mapping[str, str]) -> bool:
    """Tell whether a selector selects a namespace of these labels; an empty one selects all."""
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(one, labels) for one in selector.match_expressions
    )


def keys(selector: NamespaceSelector) -> set[str]:
    """Return the labels that a selector looks at."""
    return {*selector.match_labels, *(one.key for one in selector.match_expressions)}


def _holds(one: LabelRequirement, labels: Mapping[str, str]) -> bool:
    """What the CRD would have refused selects nothing."""
    needs_values = one.operator in ("In", "NotIn")
    if needs_values != bool(one.values):
        return False
    if one.operator == "In":
        return labels.get(one.key) in one.values
    if one.operator == "NotIn":
        return labels.get(one.key) not in one.values
    return (one.key in labels) == (one.operator == "Exists")
