# SPDX-License-Identifier: Apache-2.0
"""Log lines: readable on a terminal, JSON elsewhere, with key and reason of what they are about."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

_EXTRAS = ("key", "reason")
_CHATTY = ("kopf", "aiohttp.access", "asyncio", "client")  # only what is wrong with them


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        extras = " ".join(f"{name}={value}" for name, value in _extras(record).items())
        return f"{super().format(record)}  {extras}".rstrip()


def configure(log_format: Literal["auto", "json", "text"]) -> None:
    """Send the process's log to standard error, in the given format."""
    is_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(_Text() if is_text else _Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _extras(record: logging.LogRecord) -> dict[str, str]:
    found = ((name, getattr(record, name, None)) for name in _EXTRAS)
    return {
        name: "/".join(value) if isinstance(value, tuple) else str(value)
        for name, value in found
        if value is not None
    }
