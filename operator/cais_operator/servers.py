# SPDX-License-Identifier: Apache-2.0
"""Several servers of one registry, as one: it has loaded what all of them have loaded. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cais_operator.observed import Live, ServerState


def serves(pod: Live) -> bool:
    """Return whether clients may be led to a pod."""
    status: Mapping[str, Any] = pod.get("status") or {}
    if "deletionTimestamp" in pod["metadata"] or not status.get("podIP"):
        return False
    return any(
        one.get("type") == "Ready" and one.get("status") == "True"
        for one in status.get("conditions") or ()
    )


def together(said: Mapping[str, ServerState]) -> ServerState | None:
    """Return what servers say as what one would say; None when there is none.

    One that does not answer may serve anything: then nothing is known of them all. What the
    database tells (usage, collections) is the same from each.

    Args:
        said: By the name of the pod.
    """
    for pod, state in said.items():
        if state.error is not None:
            return replace(state, error=f"pod {pod}: {state.error}")
    if not said:
        return None
    states = list(said.values())
    refusals = (f"pod {pod}: {one.config_error}" for pod, one in said.items() if one.config_error)
    problems = (problem for one in states for problem in one.retention_problems)
    return replace(
        states[0],
        files=_shared([one.files for one in states]),
        config_error=next(refusals, None),
        retention_problems=tuple(dict.fromkeys(problems)),
    )


def _shared(files: list[Mapping[str, str]]) -> Mapping[str, str]:
    """Return the files of which all have loaded the same content."""
    first, *rest = files
    return {path: sha for path, sha in first.items() if all(one.get(path) == sha for one in rest)}
