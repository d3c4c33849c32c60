# SPDX-License-Identifier: Apache-2.0
from support.searching import pytest_collection_modifyitems, pytest_terminal_summary, search

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary", "search"]
