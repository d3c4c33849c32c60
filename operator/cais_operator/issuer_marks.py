# SPDX-License-Identifier: Apache-2.0
"""Marks of what was read of issuers: by them the same is known again in the ConfigMap. Pure.

Others may write ConfigMaps, and whom its keys are of can log in. So the marks stand in the Secret
of the keys of tokens: who may write there can be anyone already.
"""

import base64
import hashlib
import json
from collections.abc import Mapping

from cais_operator.jwks import Published
from cais_operator.observed import Live

FILE = "issuers"


def mark(found: Published) -> str:
    """Return the SHA-256 (hex) of an issuer's name and keys."""
    return hashlib.sha256(json.dumps([found.issuer, found.keys]).encode()).hexdigest()


def text(marks: Mapping[str, str]) -> str:
    """Return what stands in the Secret; the same marks are always the same text."""
    return json.dumps(marks, sort_keys=True)


def known(secret: Live | None) -> Mapping[str, str]:
    """Read back the marks of a live Secret, by the name of the issuer; none when one is broken."""
    data = (secret or {}).get("data") or {}
    try:
        found = json.loads(base64.b64decode(data[FILE], validate=True))
    except (KeyError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        return {}
    return found
