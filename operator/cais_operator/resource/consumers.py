# SPDX-License-Identifier: Apache-2.0
"""What a Registry's owner allows to other namespaces: `spec.consumers`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from cais_operator.resource.checks import (
    AT_LEAST_ONE,
    LABEL_KEY,
    LABEL_VALUE,
    REPOSITORY_GLOB,
    Limit,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRequirement:
    """One condition on a label; all conditions of a selector must hold."""

    key: Annotated[str, LABEL_KEY]
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Annotated[tuple[Annotated[str, LABEL_VALUE], ...], Limit(32)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceSelector:
    """Which namespaces are meant; an empty one means all."""

    match_labels: Mapping[str, str] = field(default_factory=dict)
    match_expressions: Annotated[tuple[LabelRequirement, ...], Limit(16)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """What some namespaces may ask for with a RegistryAccess."""

    namespace_selector: NamespaceSelector
    repositories: Annotated[tuple[Annotated[str, REPOSITORY_GLOB], ...], AT_LEAST_ONE, Limit(32)]
    actions: Annotated[
        tuple[Literal["pull", "create", "push", "delete"], ...], AT_LEAST_ONE, Limit(4)
    ]
