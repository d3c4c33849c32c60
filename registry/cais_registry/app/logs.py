# SPDX-License-Identifier: Apache-2.0
"""Log lines: JSON for machines, readable ones for a terminal."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; what was passed as `extra` becomes fields."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, separators=(",", ":"))


class TextFormatter(logging.Formatter):
    """Time, level and message; fields after it."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; control characters of clients cannot move the cursor."""
        moment = datetime.fromtimestamp(record.created).astimezone()
        fields = "".join(
            f"  {name}={_visible(value)}"
            for name, value in _fields(record).items()
            if name not in ("method", "path", "status") and value != ""
        )
        line = f"{moment:%H:%M:%S} {record.levelname:<7} {_visible(record.getMessage())}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def is_text(kind: Literal["auto", "json", "text"]) -> bool:
    """Whether lines are for a person, rather than for a machine."""
    return kind == "text" or (kind == "auto" and sys.stdout.isatty())


def write_out(content: bytes) -> None:
    """Write to standard output, as `configuration` has the log do it."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def configuration(kind: Literal["auto", "json", "text"]) -> dict[str, Any]:
    """Settings for `logging.config.dictConfig`; everything goes to standard output."""
    formatter = TextFormatter if is_text(kind) else JsonFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter}},
        "handlers": {
            "out": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "stream": "ext://sys.stdout",
            }
        },
        "root": {"handlers": ["out"], "level": "INFO"},
        "loggers": {"_granian": {"level": "WARNING"}},
    }


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _visible(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else ascii(text)
