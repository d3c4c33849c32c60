# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One rule.

    Attributes:
        message: The rule's message, as it begins.
        accepted: A spec that the rule lets pass.
        refused: One that it does not.
        before: For rules about a change: the spec as it was.
        names: A name that is accepted and one that is refused, for the rule about names.
        kind: Whose rule it is.
        field: Where the rule stands, for a message that several fields have.
    """

    message: str
    accepted: Spec
    refused: Spec
    before: Spec | None = None
    names: tuple[str, str] = ("team", "team")
    kind: str = "Registry"
    field: str = ""
