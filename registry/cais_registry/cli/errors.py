# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations


class CommandError(Exception):
    """A command that failed; the message is one line for the person who typed it."""
