# SPDX-License-Identifier: Apache-2.0
"""Values and rules of a registry: parsed names, digests, manifests, errors. No effects."""
