# SPDX-License-Identifier: Apache-2.0
from support.api_fixtures import api, place, proxies

__all__ = ["api", "place", "proxies"]
