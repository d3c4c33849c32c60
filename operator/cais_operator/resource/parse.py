# SPDX-License-Identifier: Apache-2.0
"""From the body of a Registry to values."""

from collections.abc import Mapping
from typing import Any

from cais_operator.errors import InvalidSpec
from cais_operator.resource.decode import decode
from cais_operator.resource.model import Key, Registry
from cais_operator.resource.spec import Spec


def parse(body: Mapping[str, Any]) -> Registry:
    """Read a Registry as the API server returns it.

    The API server has checked the schema already; a body that was stored under an older CRD, or
    written past it, is checked here again and never trusted.

    Args:
        body: The whole object.

    Returns:
        The Registry with all defaults of the CRD filled in.

    Raises:
        InvalidSpec: With every problem found, not only the first.
    """
    spec, problems = decode(Spec, body.get("spec") or {}, "spec")
    if problems:
        raise InvalidSpec(problems)
    metadata = body["metadata"]
    return Registry(
        key=Key(metadata["namespace"], metadata["name"]),
        uid=metadata.get("uid", ""),
        generation=int(metadata.get("generation", 0)),
        resource_version=metadata.get("resourceVersion", ""),
        deleting="deletionTimestamp" in metadata,
        annotations=dict(metadata.get("annotations") or {}),
        spec=spec,
        status=body.get("status") or {},
    )
