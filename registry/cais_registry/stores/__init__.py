# SPDX-License-Identifier: Apache-2.0
"""Where the registry keeps things: metadata in SQL, bytes in files. SQL is written here only."""
