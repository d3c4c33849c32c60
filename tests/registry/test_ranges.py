# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from cais_registry.http import ranges
from cais_registry.http.errors import RangeNotSatisfiable
from cais_registry.model.errors import BlobUploadInvalid

ETAG = '"sha256:abc"'


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=500-999", (500, 500)),
        ("bytes=500-", (500, 500)),
        ("bytes=-300", (700, 300)),
        ("bytes=-5000", (0, 1000)),
        ("bytes=900-5000", (900, 100)),
        ("bytes=0-" + "9" * 40, (0, 1000)),
        ("BYTES=0-1", (0, 2)),
        (" bytes= 0-1 ", (0, 2)),
        ("bytes=0-1,5-6", None),
        ("bytes=1 0-2 0", None),
        ("bytes=+1-2", None),
        ("bytes=-1-2", None),
        ("bytes=0x1-2", None),
        ("bytes=\u0661-2", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("items=0-1", None),
        ("", None),
    ],
)
def test_ranges_of_a_thousand_bytes(header: str | None, expected: tuple[int, int] | None) -> None:
    headers = {} if header is None else {"range": header}
    assert ranges.wanted(headers, size=1000, etag=ETAG) == expected


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=1000-", 1000), ("bytes=5000-6000", 1000), ("bytes=500-0", 1000), ("bytes=-0", 9),
     ("bytes=" + "9" * 40 + "-", 1000)],
)  # fmt: skip
def test_a_range_without_any_byte_is_refused(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        ranges.wanted({"range": header}, size=size, etag=ETAG)
    assert caught.value.size == size


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "bytes=0-0", "bytes=5-9"])
def test_any_range_of_nothing_is_the_whole(header: str) -> None:
    assert ranges.wanted({"range": header}, size=0, etag=ETAG) is None


@pytest.mark.parametrize(
    "condition", ['"sha256:other"', f"W/{ETAG}", "Wed, 21 Oct 2015 07:28:00 GMT", "*", ""]
)
def test_a_range_of_another_version_gets_the_whole(condition: str) -> None:
    headers = {"range": "bytes=0-1", "if-range": condition}
    assert ranges.wanted(headers, size=9, etag=ETAG) is None
    assert ranges.wanted(headers | {"if-range": ETAG}, size=9, etag=ETAG) == (0, 2)


@pytest.mark.parametrize(
    ("header", "is_unchanged"),
    [
        (None, False),
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"x", {ETAG}', True),
        ("*", True),
        ('"x"', False),
    ],
)
def test_if_none_match(header: str | None, *, is_unchanged: bool) -> None:
    headers = {} if header is None else {"if-none-match": header}
    assert ranges.is_unchanged(headers, ETAG) is is_unchanged


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("0-99", (0, 100)),
        ("100-100", (100, 1)),
        ("bytes 0-99/*", (0, 100)),
        ("bytes 0-99/200", (0, 100)),
        ("bytes=0-99", (0, 100)),
    ],
)
def test_chunks(header: str | None, expected: tuple[int, int] | None) -> None:
    assert ranges.chunk({} if header is None else {"content-range": header}) == expected


@pytest.mark.parametrize("header", ["", "5-1", "x", "0-", "-5", "0-1-2", "bytes 0-99/abc"])
def test_what_is_no_chunk_is_refused(header: str) -> None:
    with pytest.raises(BlobUploadInvalid):
        ranges.chunk({"content-range": header})
