# SPDX-License-Identifier: Apache-2.0
"""The status of a Registry: what is, for a person and for a GitOps tool. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cais_operator.errors import Problem
from cais_operator.observed import Observed
from cais_operator.resource import Registry


def of(
    registry: Registry, observed: Observed, problems: tuple[Problem, ...], now: datetime
) -> dict[str, Any]:
    """Return the whole status.

    Equal to `registry.status` when nothing changed, so that nothing needs to be written.

    Args:
        registry: Spec, and the status as it is (for transition times and the pace of usage).
        observed: What was found.
        problems: From `plan.problems`; any of them makes it Stalled.
        now: Aware, UTC.
    """
    raise NotImplementedError


def of_invalid(
    body: Mapping[str, Any], problems: tuple[Problem, ...], now: datetime
) -> dict[str, Any]:
    """Return the status of a Registry that `parse` refused: Stalled, the rest as it was."""
    raise NotImplementedError
