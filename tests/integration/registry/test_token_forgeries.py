# SPDX-License-Identifier: Apache-2.0
"""Forged tokens, shown to the real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from support.registry import Server
from support.token_server import (
    KEY,
    OLD_KEY,
    PULL,
    guarded_server,
    show,
)
from support.tokens import (
    SERVICE,
    Key,
    b64,
    claims,
    forge,
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with guarded_server(tmp_path_factory.mktemp("tokens")) as server:
        yield server


FOREIGN = Key()


def tampered(text: str) -> str:
    head, _, signature = text.split(".")
    return f"{head}.{b64(json.dumps(claims('admin', 'repository:secret:*')).encode())}.{signature}"


FORGERIES: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: forge(KEY, claims("ci", PULL), {"alg": "none"}),
    "no algorithm in capitals": lambda: forge(KEY, claims("ci", PULL), {"alg": "NONE"}),
    "our public key as a secret": lambda: forge(KEY, claims("ci", PULL), {"alg": "HS256"}),
    "another name of the algorithm": lambda: forge(KEY, claims("ci", PULL), {"alg": "EdDSA"}),
    "a key in the header": lambda: forge(FOREIGN, claims("ci", PULL), {"jwk": FOREIGN.jwk}),
    "a key in the header under our name": lambda: forge(
        FOREIGN, claims("ci", PULL), {"jwk": FOREIGN.jwk, "kid": KEY.kid}
    ),
    "our own key in the header": lambda: forge(KEY, claims("ci", PULL), {"jwk": KEY.jwk}),
    "a place of keys in the header": lambda: forge(
        KEY, claims("ci", PULL), {"jku": "https://evil.test/keys"}
    ),
    "a certificate in the header": lambda: forge(KEY, claims("ci", PULL), {"x5c": ["AA=="]}),
    "a critical extension": lambda: forge(KEY, claims("ci", PULL), {"crit": ["exp"]}),
    "no name of a key": lambda: forge(KEY, claims("ci", PULL), without=("kid",)),
    "a list as name of the key": lambda: forge(KEY, claims("ci", PULL), {"kid": [KEY.kid]}),
    "another type": lambda: forge(KEY, claims("ci", PULL), {"typ": "at+jwt"}),
    "a foreign key": lambda: forge(FOREIGN, claims("ci", PULL)),
    "a foreign key under our name": lambda: forge(FOREIGN, claims("ci", PULL), {"kid": KEY.kid}),
    "a foreign issuer": lambda: forge(KEY, claims("ci", PULL, iss="https://evil.test")),
    "a foreign audience": lambda: forge(KEY, claims("ci", PULL, aud="another")),
    "our audience among others": lambda: forge(KEY, claims("ci", PULL, aud=[SERVICE, "x"])),
    "expired": lambda: forge(KEY, claims("ci", PULL, exp=claims()["iat"] - 1)),
    "without an end": lambda: forge(KEY, claims("ci", PULL, exp=None)),
    "an end that is no number": lambda: forge(KEY, claims("ci", PULL, exp="9999999999")),
    "not yet good": lambda: forge(KEY, claims("ci", PULL, nbf=claims()["iat"] + 120)),
    "a changed payload": lambda: tampered(forge(KEY, claims("ci", PULL))),
    "a cut signature": lambda: forge(KEY, claims("ci", PULL))[:-4],
    "no signature": lambda: forge(KEY, claims("ci", PULL)).rpartition(".")[0] + ".",
    "a user who is none": lambda: forge(KEY, claims("nobody", PULL)),
    "nobody where nobody may do anything": lambda: forge(KEY, claims("", PULL)),
    "an access of another shape": lambda: forge(KEY, claims("ci", access={"x": 1})),
    "giant": lambda: forge(KEY, claims("ci", *[PULL] * 500)),
    "two parts": lambda: "a.b",
    "nothing": lambda: "",
    "what is no text": lambda: "\xff.\xff.\xff",
    "nested deeply": lambda: b64(b'{"a":' + b"[" * 6000) + ".e30.AA",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_opens_nothing(guarded: Server, name: str) -> None:
    for path in ("/v2/apps/x/manifests/v1", "/v2/secret/manifests/v1", "/v2/"):
        answer = show(guarded, FORGERIES[name](), path=path)
        assert (answer.status, answer.code) == (401, "UNAUTHORIZED"), path
        assert 'error="invalid_token"' in str(answer["WWW-Authenticate"])


def test_one_forged_right_passes_or_the_table_above_would_show_nothing(guarded: Server) -> None:
    for key in (KEY, OLD_KEY):
        text = forge(key, claims("ci", PULL))
        assert show(guarded, text, path="/v2/apps/x/manifests/v1").status == 200


def test_a_token_signed_for_more_than_the_rules_allow_opens_no_more(guarded: Server) -> None:
    text = forge(KEY, claims("reader", "repository:apps/x:pull,push,delete", "repository:secret:*"))
    assert show(guarded, text, path="/v2/apps/x/manifests/v1").status == 200
    assert show(guarded, text, "PUT", "/v2/apps/x/manifests/v1", body=b"{}").status == 403
    assert show(guarded, text, "DELETE", "/v2/apps/x/manifests/v1").status == 403
    assert show(guarded, text, path="/v2/secret/manifests/v1").status == 403
