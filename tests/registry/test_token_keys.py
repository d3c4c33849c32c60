# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess

import pytest

from cais_registry.http.token_keys import TokenKeysError, parse
from support.tokens import Key

ONE, TWO = Key(), Key()


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def test_what_openssl_writes_is_taken_as_the_documents_say() -> None:
    made = openssl("genpkey", "-algorithm", "ed25519")
    assert parse(made) == (made.rstrip(b"\n"),)


@pytest.mark.parametrize("between", [b"", b"\n\n", b"created today\n", b"\r\n# the old one\r\n"])
def test_keys_keep_their_order_whatever_stands_between_them(between: bytes) -> None:
    found = parse(ONE.pem + between + TWO.pem)
    assert found == (ONE.pem.strip(), TWO.pem.strip())


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "holds 0 keys"),
        (b"words", "holds 0 keys"),
        (ONE.public_pem, "something else"),
        (ONE.pem + ONE.public_pem, "something else"),
        (ONE.pem[:-10], "something else"),
        (ONE.pem + TWO.pem[20:], "something else"),
        (ONE.pem.replace(b"M", b"N", 1), "key 1 is not"),
        (ONE.pem + TWO.pem.replace(b"MC4C", b"MC4D"), "key 2 is not"),
        (openssl("genpkey", "-algorithm", "ed448"), "key 1 is not"),
        (openssl("genpkey", "-algorithm", "x25519"), "key 1 is not"),
        (openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout"), "something else"),
        (ONE.pem + TWO.pem + ONE.pem, "twice"),
        (b"".join(Key().pem for _ in range(17)), "holds 17 keys"),
        (b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "key 1 is not"),
    ],
)
def test_a_file_that_is_wrong_is_refused_without_showing_it(content: bytes, word: str) -> None:
    with pytest.raises(TokenKeysError, match=word) as caught:
        parse(content)
    assert "MC4C" not in str(caught.value)
