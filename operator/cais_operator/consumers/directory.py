# SPDX-License-Identifier: Apache-2.0
"""What the watches have shown: which RegistryAccess names which Registry, and namespaces' labels.

Pure memory, filled completely before anything is decided from it: an access that is missing here
loses its account.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cais_operator.consumers.selectors import NAME_LABEL
from cais_operator.errors import InvalidSpec
from cais_operator.resource import Key, RegistryAccess, parse_access

_NONE: Mapping[str, str] = {}  # one for all namespaces without labels


class Directory:
    """By key, every RegistryAccess that can be read and is not being deleted."""

    def __init__(self) -> None:
        self._accesses: dict[Key, RegistryAccess] = {}
        self._by_registry: dict[Key, set[Key]] = {}
        self._labels: dict[str, Mapping[str, str]] = {}

    def take(self, body: Mapping[str, Any]) -> set[Key]:
        """Note a RegistryAccess as it is now; return the Registries that have to be looked at."""
        metadata = body["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        try:
            access = parse_access({**body, "status": {}})
        except InvalidSpec:  # stored under an older CRD: nothing is asked that could be granted
            return self.drop(key)
        if access.deleting:
            return self.drop(key)
        if self._accesses.get(key) == access:
            return set()
        touched = self.drop(key)
        self._accesses[key] = access
        self._by_registry.setdefault(access.registry, set()).add(key)
        return touched | {access.registry}

    def drop(self, key: Key) -> set[Key]:
        """Forget a RegistryAccess; return the Registry that has to be looked at."""
        before = self._accesses.pop(key, None)
        if before is None:
            return set()
        others = self._by_registry[before.registry]
        others.discard(key)
        if not others:
            del self._by_registry[before.registry]
        return {before.registry}

    def known(self, namespace: str | None = None) -> set[Key]:
        """Return the keys of all accesses, or of those in one namespace."""
        return {key for key in self._accesses if namespace in (None, key.namespace)}

    def of(self, registry: Key) -> tuple[RegistryAccess, ...]:
        """Return what names a Registry, in the order of keys."""
        return tuple(self._accesses[key] for key in sorted(self._by_registry.get(registry, ())))

    def registries(self, keys: Iterable[Key]) -> set[Key]:
        """Return the Registries that these accesses name."""
        return {self._accesses[key].registry for key in keys if key in self._accesses}

    def relabel(self, namespace: str, labels: Mapping[str, str] | None) -> bool:
        """Note the labels of a namespace; return whether they are others than before.

        Args:
            namespace: Its name.
            labels: None when the namespace is gone. Having no labels is another thing.
        """
        before = self._labels.get(namespace)
        if labels is None:
            self._labels.pop(namespace, None)
            return before is not None
        kept = {key: value for key, value in labels.items() if key != NAME_LABEL}
        self._labels[namespace] = kept or _NONE
        return before != kept

    def namespaces(self) -> set[str]:
        """Return the namespaces that were shown."""
        return set(self._labels)

    def labels(self, namespace: str) -> Mapping[str, str] | None:
        """Return the labels of a namespace; None for one that was not shown."""
        known = self._labels.get(namespace)
        return None if known is None else {**known, NAME_LABEL: namespace}
