# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations


class ConfigError(Exception):
    """A setting that cannot be used; the message is one line that names it and what is allowed."""
