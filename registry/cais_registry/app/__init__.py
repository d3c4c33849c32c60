# SPDX-License-Identifier: Apache-2.0
"""Where everything is built and wired: the supervisor process, its worker, files that change."""
