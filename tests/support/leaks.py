# SPDX-License-Identifier: Apache-2.0
"""Looks for secrets in what was logged and told, in the forms that they may have there. Pure."""

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ahocorasick_rs import AhoCorasick

SHORTEST = 12
"""Characters; shorter ones are found by chance."""

HIDDEN = "[hidden]"
AROUND = 60  # characters that are shown before and after
SHAPES = {  # what is secret whoever made it
    "a JSON Web Token": re.compile(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a bcrypt hash": re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}"),
}
_LONG = re.compile(r"[\w+/=$.-]{20,}")  # may be a piece of a key: not shown either


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A secret in a text.

    Attributes:
        secret: What it is; never its value.
        where: The text.
        line: The first one of the text with it, from 1.
        excerpt: What stands around it, without it.
    """

    secret: str
    where: str
    line: int
    excerpt: str


def leaks(texts: Iterable[tuple[str, str]], secrets: Mapping[str, str]) -> list[Leak]:
    """Find every secret, and all that has the shape of one, in one pass over each text.

    Args:
        texts: What was logged and told, each with where.
        secrets: By what they are; shorter ones than `SHORTEST` are passed over.
    """
    needles = _needles(secrets)
    search = AhoCorasick(list(needles))
    names = [*needles.values()]
    found: list[Leak] = []
    for where, text in texts:
        spans = [
            (name, begin, end)
            for index, begin, end in search.find_matches_as_indexes(text, overlapping=True)
            for name in names[index]
        ]
        spans += [
            (name, *match.span())
            for name, shape in SHAPES.items()
            for match in shape.finditer(text)
        ]
        found += _told(where, text, spans)
    return found


def forms(secret: str) -> set[str]:
    """As it is, in JSON, in an address, and in base64 wherever in a longer text it begins.

    Of a PEM file it is the line in its middle: the first ones are alike in all keys, and in short
    keys the last one is public.
    """
    lines = [line for line in secret.strip().splitlines() if not line.startswith("-----")]
    one = lines[len(lines) // 2] if lines else ""
    plain = {one, json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1]}
    return plain | {quote(one, safe="")} | set(_encoded(one.encode()))


def _needles(secrets: Mapping[str, str]) -> dict[str, set[str]]:
    """The names of the secrets, by each form."""
    needles: dict[str, set[str]] = defaultdict(set)
    for name, secret in secrets.items():
        if len(secret) >= SHORTEST:
            for form in forms(secret):
                needles[form].add(name)
    return needles


def _encoded(secret: bytes) -> Iterator[str]:
    """The part of a base64 text that depends on the secret alone, for each way to begin."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret).decode().rstrip("=")
        bits = 8 * (before + len(secret))
        part = whole[-(-8 * before // 6) : bits // 6]
        yield part
        yield part.translate(str.maketrans("+/", "-_"))


def _told(where: str, text: str, spans: list[tuple[str, int, int]]) -> Iterator[Leak]:
    """What to say of them: of each secret the first place."""
    seen: set[str] = set()
    for name, begin, end in sorted(spans, key=lambda span: span[1:]):
        if name not in seen:
            seen.add(name)
            line = text.count("\n", 0, begin) + 1
            before = _hide(text, max(0, begin - AROUND), begin, spans)
            after = _hide(text, end, min(len(text), end + AROUND), spans)
            excerpt = f"{before}{HIDDEN}{after}"
            yield Leak(secret=name, where=where, line=line, excerpt=excerpt)


def _hide(text: str, begin: int, end: int, spans: list[tuple[str, int, int]]) -> str:
    """A piece of a text without anything in it that may be secret."""
    piece = [*text[begin:end]]
    for _, first, last in spans:
        for index in range(max(first, begin), min(last, end)):
            piece[index - begin] = "*"
    # what is cut off at the edges may be the rest of something long
    return _LONG.sub(HIDDEN, "".join(piece)).replace("\n", " ")
