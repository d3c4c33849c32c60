# SPDX-License-Identifier: Apache-2.0
"""The demo: from a machine to a Pod that runs an image from its own registry, step by step."""
