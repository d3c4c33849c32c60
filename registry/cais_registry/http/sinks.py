# SPDX-License-Identifier: Apache-2.0
"""Where lines of the access log and of the audit log go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeAlias

Sink: TypeAlias = Callable[[str, Mapping[str, object]], None]
"""Takes a sentence for people, and the fields of a line."""


def to_logging(name: str) -> Sink:
    """The sink that hands each line to the standard library's logging, under a name."""
    logger = logging.getLogger(name)

    def write(message: str, fields: Mapping[str, object]) -> None:
        logger.info("%s", message, extra=fields)

    return write
