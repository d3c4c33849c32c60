# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from cais_registry.app.watched import Watched
from cais_registry.config.errors import ConfigError
from cais_registry.config.identities import Issuer


class KeyFiles:
    """The files with the keys of issuers; which ones these are changes with the configuration.

    A file that cannot be read has no content, whatever it had before: its issuer's tokens are
    refused then, and everyone else goes on (ADR 28).

    Attributes:
        contents: By path.
        errors: Why files cannot be read.
    """

    def __init__(self) -> None:
        self.contents: Mapping[str, bytes] = {}
        self.errors: tuple[str, ...] = ()
        self._files: dict[str, Watched] = {}

    def look(self, issuers: Iterable[Issuer]) -> bool:
        """Read what has changed of the files that these issuers name.

        Returns:
            True if any content is another one now.
        """
        paths = dict.fromkeys(issuer.jwks_file for issuer in issuers)
        before, contents, errors = self.contents, {}, []
        self._files = {path: self._files.get(path) or _watched(path) for path in paths}
        for path, file in self._files.items():
            try:
                changed = file.changed()
            except ConfigError as error:
                errors.append(str(error))
                self._files[path] = _watched(path)  # when it is back it counts as changed
                continue
            contents[path] = before[path] if changed is None else changed
        self.contents, self.errors = contents, tuple(errors)
        return contents != before


def _watched(path: str) -> Watched:
    return Watched(Path(path), setting="access.issuers.jwksFile")
