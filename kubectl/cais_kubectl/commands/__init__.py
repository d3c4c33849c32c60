# SPDX-License-Identifier: Apache-2.0
"""The commands. Each has `add_to`, which adds its flags, and `run`, which returns the exit code."""
