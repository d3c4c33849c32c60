# SPDX-License-Identifier: Apache-2.0
"""The document between operator and nodes: which registries there are, and how they are reached.

Both sides check every field. Host names are not in it: each node derives them from namespace and
name, so that whoever may write the document cannot lead pulls from other registries astray.
"""

import binascii
import ipaddress
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

FILE = "registries.json"  # key of the ConfigMap, and so the file's name in the pod
LARGEST = 1_000_000  # bytes of the document; a ConfigMap holds 1 MiB with all its names
_VERSION = 1
_LARGEST_AUTHORITY = 64 * 1024  # bytes
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_BLOCK = re.compile(
    r"-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)\n-----END CERTIFICATE-----\n?"
)
_TEXTS = ("namespace", "name", "scheme")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Entry:
    """One registry as nodes reach it; checked when it is made.

    Attributes:
        namespace: Of the Registry.
        name: Of the Registry and its Service.
        addresses: ClusterIPs of the Service, as text; at least one.
        port: Of the Service.
        authority: Certificates in PEM that its own is checked with; empty with http, and where
            those that the node trusts anyway are enough.
        scheme: https or http.

    Raises:
        ValueError: Names the field, what it holds and what is allowed.
    """

    namespace: str
    name: str
    addresses: tuple[str, ...]
    port: int
    authority: str = ""
    scheme: str = "https"

    def __post_init__(self) -> None:
        for what, label in (("namespace", self.namespace), ("name", self.name)):
            if not _LABEL.fullmatch(label):
                raise ValueError(f"{what} {label!r} is not a DNS label")
        if not 0 < self.port < 1 << 16:
            raise ValueError(f"port {self.port} is not from 1 to 65535")
        if not self.addresses:
            raise ValueError("there is no address")
        for address in self.addresses:
            ipaddress.ip_address(address)  # its ValueError says what is wrong
        _check_trust(self.scheme, self.authority)

    def hosts(self, domain: str) -> tuple[str, ...]:
        """Return what image names begin with: names that only this Service can have.

        Args:
            domain: DNS domain of the cluster.

        `name.namespace` is left out: outside the cluster it may be somebody's real name.
        """
        service = f"{self.name}.{self.namespace}.svc"
        return tuple(f"{name}:{self.port}" for name in (service, f"{service}.{domain}"))


def encode(entries: Iterable[Entry], limit: int = LARGEST) -> tuple[str, int]:
    """Return the document of as many entries, in their order, as have room; and how many have not.

    Args:
        entries: The most important first: the first ones stay when there is not room for all.
        limit: Bytes that the document may have.
    """
    kept: list[Entry] = []
    authorities: dict[str, int] = {"": -1}  # none
    size = len(_document((), ()))
    left_out = 0
    for entry in entries:
        is_new = entry.authority not in authorities
        number = authorities.get(entry.authority, len(authorities) - 1)
        more = len(_compact(_fields(entry, number))) + bool(kept)
        if is_new:
            more += len(_compact(entry.authority)) + bool(number)
        if size + more > limit:
            left_out += 1
            continue
        size += more
        kept.append(entry)
        authorities[entry.authority] = number
    registries = [_fields(entry, authorities[entry.authority]) for entry in kept]
    return _document(list(authorities)[1:], registries), left_out


def decode(text: str) -> tuple[Entry, ...]:
    """Return the entries of a document.

    Raises:
        ValueError: Something in it is not as `encode` writes it; nothing of it may be used then.
    """
    if len(text) > LARGEST:
        raise ValueError(f"it has {len(text)} characters; at most {LARGEST} are allowed")
    try:
        document = json.loads(text)
        if document["version"] != _VERSION:
            raise ValueError(f"its version is {document['version']!r}, and has to be {_VERSION}")
        authorities = [_text(one) for one in document["authorities"]]
        return tuple(_entry(one, authorities) for one in document["registries"])
    except (AttributeError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"it is not a list of registries: {error!r}") from None


def _document(authorities: Sequence[str], registries: Sequence[dict[str, Any]]) -> str:
    document = {"version": _VERSION, "authorities": authorities, "registries": registries}
    return _compact(document)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _fields(entry: Entry, authority: int) -> dict[str, Any]:
    fields: dict[str, Any] = {key: getattr(entry, key) for key in _TEXTS}
    fields |= {"addresses": list(entry.addresses), "port": entry.port}
    return fields | ({"authority": authority} if entry.authority else {})


def _entry(fields: dict[str, Any], authorities: Sequence[str]) -> Entry:
    authority, port = fields.get("authority"), fields["port"]
    if type(port) is not int or type(authority) not in (int, type(None)):
        raise TypeError("a port or an authority is not a number")
    if authority is not None and authority < 0:
        raise IndexError(authority)
    texts = {key: _text(fields[key]) for key in _TEXTS}
    return Entry(
        **texts,
        addresses=tuple(_text(one) for one in fields["addresses"]),
        port=port,
        authority="" if authority is None else authorities[authority],
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _check_trust(scheme: str, authority: str) -> None:
    if scheme not in ("https", "http"):
        raise ValueError(f"scheme {scheme!r} is neither https nor http")
    if scheme == "http" and authority:
        raise ValueError("http has no authority")
    if authority and not _is_certificates(authority):
        raise ValueError("the authority is not made of certificates in PEM, and of nothing else")


def _is_certificates(text: str) -> bool:
    rest = _BLOCK.sub("", text).strip()
    blocks = _BLOCK.findall(text)
    if rest or not blocks or len(text) > _LARGEST_AUTHORITY:
        return False
    try:
        return all(binascii.a2b_base64(block, strict_mode=False) for block in blocks)
    except binascii.Error:
        return False
