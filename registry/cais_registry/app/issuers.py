# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping

from cais_registry.app.files import Loaded
from cais_registry.http.bearer import TokenVerifier
from cais_registry.http.gate import Gate
from cais_registry.http.tokens import Terms, Tokens


class Issuers:
    """Hands issuers and keys on to whoever checks tokens, and gives them out: ours and others'.

    Attributes:
        problems: What is wrong with keys, by the file that holds them.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._taken: tuple[object, ...] = ((), {}, None, ())
        self.problems: Mapping[str, str] = {}

    def take(self, loaded: Loaded) -> bool:
        """Take issuers and keys from now on.

        Returns:
            True if they are others than before.
        """
        issuers = loaded.settings.access.issuers
        found = (issuers, loaded.keys, loaded.settings.tokens, loaded.token_keys)
        if found == self._taken:
            return False
        self._taken = found
        verifiers: dict[str, TokenVerifier] = {}
        self.problems = {}
        if issuers:
            from cais_registry.http import identities  # noqa: PLC0415 - costs 12 MB, rarely needed

            built = identities.build(issuers, loaded.keys)
            verifiers, self.problems = dict(built.verifiers), built.problems
        tokens = _ours(loaded)
        if tokens is not None:
            verifiers[tokens.terms.service] = tokens
        self._gate.tokens = tokens
        self._gate.bearer.replace(verifiers)
        return True


def _ours(loaded: Loaded) -> Tokens | None:
    settings = loaded.settings.tokens
    if settings is None:
        return None
    terms = Terms(
        service=settings.service,
        seconds=round(settings.lifetime.total_seconds()),
        realms=settings.realms,
    )
    return Tokens(terms, loaded.token_keys)
