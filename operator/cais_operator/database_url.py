# SPDX-License-Identifier: Apache-2.0
"""Connection strings of libpq, as far as a person's typo has to be found. Pure.

libpq takes a URL or `key=value` pairs; the server hands the whole text to it. What is looked for
here is a host and a port. No message holds any part of the text: it has a password.
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

LONGEST = 4096  # characters
_SCHEMES = ("postgresql", "postgres")
_MOST = 65535
_PAIR = re.compile(r"\s*([a-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?=\s|$)\s*")
_EXAMPLE = "postgresql://USER:PASSWORD@HOST:5432/NAME"


def check(text: str) -> None:
    """Make sure that it leads to a database.

    Raises:
        ValueError: When it is no connection string with a host, in words for a person.
    """
    if not 0 < len(text) <= LONGEST or not text.isprintable():
        raise ValueError(f"must be one line of at most {LONGEST} characters, as {_EXAMPLE}")
    found = _of_url(text) if "://" in text.partition("=")[0] else _of_pairs(text)
    hosts = [host for host in (found.get("host") or found.get("hostaddr") or "").split(",") if host]
    if not hosts or any(host.startswith(("/", "@")) for host in hosts):
        raise ValueError(f"must name a host, as {_EXAMPLE}")
    if not all(map(_is_port, (found.get("port") or "").split(","))):
        raise ValueError(f"must have a port from 1 to {_MOST}, as {_EXAMPLE}")


def _is_port(text: str) -> bool:
    """Whether it is one; without any it is the usual one."""
    text = text.strip()
    return not text or (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= _MOST)


def _of_url(text: str) -> Mapping[str, str]:
    scheme, _, rest = text.partition("://")
    if scheme not in _SCHEMES:
        raise ValueError(f"must begin with postgresql://, as {_EXAMPLE}")
    try:
        query = urlsplit(f"//{rest}").query
    except ValueError:  # brackets that do not close
        raise ValueError(f"must be a URL, as {_EXAMPLE}") from None
    place = re.split(r"[/?]", rest.rpartition("@")[2] if "@" in rest else rest, maxsplit=1)[0]
    pairs = [_host_and_port(one) for one in place.split(",")]
    hosts = {"host": ",".join(host for host, _ in pairs), "port": ",".join(p for _, p in pairs)}
    return {**hosts, **dict(parse_qsl(query))}


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, rest = text.partition("]")
        return host[1:], rest.removeprefix(":")
    host, _, port = text.partition(":")
    return unquote(host), port


def _of_pairs(text: str) -> Mapping[str, str]:
    found, at = {}, 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            raise ValueError(f"must be a URL or pairs of KEY=VALUE, as {_EXAMPLE}")
        found[pair[1]] = re.sub(r"\\(.)", r"\1", pair[2].removeprefix("'").removesuffix("'"))
        at = pair.end()
    return found
