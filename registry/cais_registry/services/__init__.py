# SPDX-License-Identifier: Apache-2.0
"""What the registry does: uploads, blobs, manifests, listings, garbage collection."""
