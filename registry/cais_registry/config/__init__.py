# SPDX-License-Identifier: Apache-2.0
"""The server's settings: read strictly, checked wholly before anything is touched. No effects."""
