# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import yaml

from cais_registry.config.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """The safe loader, without duplicate keys and without aliases (which can grow without end)."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - the type of the library
        if self.check_event(yaml.AliasEvent):
            raise ConfigError("aliases (*name) are not taken in this file")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"{name}: is given twice")
        return super().construct_mapping(node, deep=deep)


def load(text: str) -> object:
    """Parse one YAML document.

    Raises:
        ConfigError: For bad syntax, a key given twice, or an alias.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - derived from the safe loader
    except yaml.YAMLError as error:
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}") from error
