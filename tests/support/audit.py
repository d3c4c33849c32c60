# SPDX-License-Identifier: Apache-2.0
"""The audit log of an API server: exactly which requests were made, and by whom."""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class AuditLog:
    """Reads what was added since the last look only: the log grows with all tests of a worker."""

    path: Path
    _offset: int = 0
    _done: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self) -> list[dict[str, Any]]:
        """Requests that were answered so far."""
        with self._lock, self.path.open("rb") as log:
            log.seek(self._offset)
            whole = log.read().rpartition(b"\n")[0]  # the last line may be half written
            self._offset += len(whole) + 1 if whole else 0
            events = (json.loads(line) for line in whole.splitlines())
            self._done += [one for one in events if one["stage"] == "ResponseComplete"]
            return [*self._done]
