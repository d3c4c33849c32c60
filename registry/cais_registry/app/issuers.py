# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping

from cais_registry.app.files import Loaded
from cais_registry.config.identities import Issuer
from cais_registry.http.bearer import Bearer


class Issuers:
    """Hands issuers and their keys on to whoever checks tokens.

    Attributes:
        problems: What is wrong with keys, by the file that holds them.
    """

    def __init__(self, bearer: Bearer) -> None:
        self._bearer = bearer
        self._taken: tuple[tuple[Issuer, ...], Mapping[str, bytes]] = ((), {})
        self.problems: Mapping[str, str] = {}

    def take(self, loaded: Loaded) -> bool:
        """Take issuers and keys from now on.

        Returns:
            True if they are others than before.
        """
        found = (loaded.settings.access.issuers, loaded.keys)
        if found == self._taken:
            return False
        self._taken = found
        from cais_registry.http import identities  # noqa: PLC0415 - costs 12 MB, often not needed

        built = identities.build(*found)
        self._bearer.replace(built.verifiers)
        self.problems = built.problems
        return True
