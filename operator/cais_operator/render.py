# SPDX-License-Identifier: Apache-2.0
"""Templates to manifests, safe by construction: every `{{ }}` becomes one JSON value. Pure."""

from typing import Any

Manifest = dict[str, Any]


def render(template: str, context: object) -> Manifest:
    """Render one template of `templates/` to one Kubernetes object.

    Args:
        template: Name without `.yaml.j2`.
        context: A frozen dataclass; its fields are the template's variables.

    Returns:
        The object, with apiVersion, kind and metadata.name.

    Raises:
        jinja2.UndefinedError: When the template names a variable that the context lacks.
        ValueError: When the result is not one object, or has a duplicate key.
    """
    raise NotImplementedError
