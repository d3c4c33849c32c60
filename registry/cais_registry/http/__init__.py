# SPDX-License-Identifier: Apache-2.0
"""HTTP in front of the services: routes, authentication, ranges, headers, the table of errors.

Handlers translate and decide nothing. Every request is authorised at one place (`gate`) before its
handler runs. Only `app` uses this room.
"""
