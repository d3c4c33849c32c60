# SPDX-License-Identifier: Apache-2.0
"""A client of other registries (OCI distribution specification), for imports.

What they answer is believed no further than digests go: every answer, list and number of attempts
is bounded, and a password goes to nobody but the registry and hosts that its owner has named.
"""
