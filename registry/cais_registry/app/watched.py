# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from cais_registry.config.errors import ConfigError

_MOST_BYTES: Final = 8 * 1024 * 1024
_YOUNG_NS: Final = 3_000_000_000

_Signature: TypeAlias = tuple[int, int, int, int]


class Watched:
    """A file whose content is looked at again and again.

    A glance costs one `stat`; the content is read when that differs, or when the file is so young
    that a second write could hide behind the same time stamp. Links are followed each time, so the
    kubelet's swap of a `..data` link is seen.

    Attributes:
        path: Absolute, links not resolved.
        setting: What names the file, for messages.
    """

    def __init__(
        self, path: Path, *, setting: str, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.path = path.absolute()
        self.setting = setting
        self._clock = clock
        self._signature: _Signature | None = None
        self._seen = b""

    def read(self) -> bytes:
        """Read the file, whether it has changed or not.

        Raises:
            ConfigError: If it cannot be read, or is too large.
        """
        try:
            with self.path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"{self.setting}: {self.path} cannot be read: {reason}") from error
        if len(content) > _MOST_BYTES:
            raise ConfigError(f"{self.setting}: {self.path} is larger than {_MOST_BYTES} bytes")
        return content

    def changed(self) -> bytes | None:
        """The content if it is another one than at the last call, else None.

        Raises:
            ConfigError: If it cannot be read, or is too large.
        """
        signature = self._look()
        if signature is not None and signature == self._signature:
            return None
        content = self.read()
        is_settled = signature is not None and self._clock() - signature[1] > _YOUNG_NS
        self._signature = signature if is_settled else None
        seen = hashlib.sha256(content).digest()
        if seen == self._seen:
            return None
        self._seen = seen
        return content

    def _look(self) -> _Signature | None:
        try:
            status = os.stat(self.path)  # noqa: PTH116 - cheaper, and it follows links
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size, status.st_dev
