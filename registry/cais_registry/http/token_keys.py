# SPDX-License-Identifier: Apache-2.0
"""Files of the keys that sign tokens: Ed25519 private keys in PEM, one after another.

They are checked without a library for cryptography, which costs memory in a process that signs
nothing: all of a PKCS#8 document of such a key, but its last 32 bytes, is always the same (RFC
8410, section 7).
"""

from __future__ import annotations

import binascii
import re
from typing import Final

_BLOCK = re.compile(rb"-----BEGIN PRIVATE KEY-----\s([A-Za-z0-9+/=\s]*)-----END PRIVATE KEY-----")
_HEAD: Final = bytes.fromhex("302e020100300506032b657004220420")
_KEY_BYTES: Final = 32
_MOST: Final = 16
_HINT: Final = "make one: openssl genpkey -algorithm ed25519"


class TokenKeysError(ValueError):
    """The file cannot be taken; the message holds no secret."""


def parse(content: bytes) -> tuple[bytes, ...]:
    """Read the keys in their order; text around them is skipped.

    Returns:
        Each as one PEM block.

    Raises:
        TokenKeysError: If there is none, one is of another kind or damaged, or stands there twice.
    """
    blocks = list(_BLOCK.finditer(content))
    if b"-----" in _BLOCK.sub(b"", content):
        raise TokenKeysError(
            f"holds something else than unencrypted Ed25519 private keys in PKCS#8; {_HINT}"
        )
    for number, block in enumerate(blocks, start=1):
        if not _is_ed25519(block[1]):
            raise TokenKeysError(f"key {number} is not an Ed25519 private key in PKCS#8; {_HINT}")
    keys = tuple(block[0] for block in blocks)
    if not 1 <= len(keys) <= _MOST:
        raise TokenKeysError(f"holds {len(keys)} keys, 1 to {_MOST} are taken; {_HINT}")
    if len({b"".join(key.split()) for key in keys}) < len(keys):
        raise TokenKeysError("holds a key twice")
    return keys


def _is_ed25519(encoded: bytes) -> bool:
    try:
        der = binascii.a2b_base64(b"".join(encoded.split()), strict_mode=True)
    except binascii.Error:
        return False
    return der.startswith(_HEAD) and len(der) == len(_HEAD) + _KEY_BYTES
