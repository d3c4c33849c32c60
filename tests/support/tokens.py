# SPDX-License-Identifier: Apache-2.0
"""Keys and tokens for tests, right and forged, made without the library that the server uses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from support.registry import Server, wait_until

SERVICE = "cais-tests"


class Key:
    """A key that signs tokens."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = self._key.public_key()
        self.public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.public = public.public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def jwk(self) -> dict[str, str]:
        """The public half (RFC 8037)."""
        return {"crv": "Ed25519", "kty": "OKP", "x": b64(self.public)}

    @property
    def kid(self) -> str:
        """The thumbprint (RFC 7638)."""
        text = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return b64(hashlib.sha256(text.encode()).digest())

    def sign(self, content: bytes) -> bytes:
        return self._key.sign(content)


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unb64(token.split(".")[1]))
    return found


def header_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unb64(token.split(".", maxsplit=1)[0]))
    return found


def access(*scopes: str) -> list[dict[str, Any]]:
    """An `access` claim."""
    parts = (scope.split(":") for scope in scopes)
    return [{"type": kind, "name": name, "actions": do.split(",")} for kind, name, do in parts]


def claims(user: str = "ci", *scopes: str, **changed: Any) -> dict[str, Any]:
    """What a good token says."""
    now = int(time.time())
    return {
        "iss": SERVICE,
        "sub": user,
        "aud": SERVICE,
        "exp": now + 300,
        "nbf": now - 60,
        "iat": now,
        "jti": "1",
        "access": access(*scopes),
        **changed,
    }


def forge(
    key: Key,
    says: Mapping[str, Any],
    header: Mapping[str, Any] | None = None,
    *,
    without: tuple[str, ...] = (),
) -> str:
    """Sign whatever is wanted, by the book but for what is asked to be wrong."""
    head = {"alg": "Ed25519", "kid": key.kid, "typ": "JWT", **(header or {})}
    kept = {name: value for name, value in head.items() if name not in without}
    signed = f"{b64(json.dumps(kept).encode())}.{b64(json.dumps(says).encode())}"
    match head["alg"]:
        case "none":
            return f"{signed}."
        case "HS256":
            return f"{signed}.{b64(hmac.digest(key.public_pem, signed.encode(), 'sha256'))}"
        case _:
            return f"{signed}.{b64(key.sign(signed.encode()))}"


def configure(folder: Path, *keys: Key, realms: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """Write the key file, and return the `tokens` block of a server's configuration."""
    write_keys(folder, *keys)
    block = {"keyFile": str(folder / "token-keys.pem"), "service": SERVICE, "realms": dict(realms)}
    return {**block, **more}


def offer(server: Server, config: Any) -> None:
    """Send clients to the token endpoint of a server, whose port is known only now.

    Args:
        server: As `running` has started it.
        config: As it was started with.
    """
    host = "{}:{}".format(*server.address)
    scheme = server.url.partition(":")[0]
    config["tokens"]["realms"][host] = f"{scheme}://{host}/token"
    (server.data.parent / "server.yaml").write_text(json.dumps(config))

    def is_offered() -> bool:
        asked = server.ask("GET", "/v2/", login=None)["WWW-Authenticate"]
        return str(asked).startswith("Bearer ")

    wait_until(is_offered, what="tokens are offered")


def write_keys(folder: Path, *keys: Key) -> None:
    """Put other keys in place, at once as a whole."""
    new = folder / "token-keys.new"
    new.write_bytes(b"".join(key.pem for key in keys))
    new.rename(folder / "token-keys.pem")
