# SPDX-License-Identifier: Apache-2.0
"""A whole Kubernetes for tests and the demo: kind, and where nothing can be pulled all it needs."""
