# SPDX-License-Identifier: Apache-2.0
"""The search for secrets finds them; else it would prove nothing."""

import base64
import json
from urllib.parse import quote

import pytest

from support.leaks import Leak, leaks
from support.secret_values import values

SECRET = 's3cret-so-long "with" ä/+'
KEY = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"
LINES = ["MIGHAgEAMBMGByqGSM49", "AgEGCCqGSM49AwEHBG0w", "awIBAQQgqqqqqqqqqqqq"]
PEM = KEY.format("\n".join(LINES))
HASH = "$2b$12$" + "abcdefghijklmnopqrstu" + "v" * 32


def found(text: str, secrets: dict[str, str]) -> list[str]:
    return [leak.secret for leak in leaks([("log", text)], secrets)]


@pytest.mark.parametrize(
    "text",
    [
        f"before {SECRET} after",
        json.dumps({"password": SECRET}),
        json.dumps({"password": SECRET}, ensure_ascii=False),
        f"https://ci:{quote(SECRET, safe='')}@host/",
        *(
            "Basic " + encode(f"{user}:{SECRET}{rest}".encode()).decode()
            for encode in (base64.b64encode, base64.urlsafe_b64encode)
            for user in ("ci", "abc", "bob1")
            for rest in ("", "x", "xy")
        ),
        json.dumps({"data": base64.b64encode(SECRET.encode()).decode()}),
    ],
)
def test_a_secret_is_found_in_each_form_and_not_told(text: str) -> None:
    (leak,) = leaks([("log", f"first line\n{text}"), ("other", "quiet")], {"ci": SECRET})
    assert (leak.secret, leak.where, leak.line) == ("ci", "log", 2)
    assert SECRET not in str(leak)
    assert found(leak.excerpt, {"ci": SECRET}) == []


@pytest.mark.parametrize(
    "text", [LINES[1], json.dumps({"key": PEM}), base64.b64encode(PEM.encode())]
)
def test_a_key_is_found_by_the_line_in_its_middle(text: str | bytes) -> None:
    shown = text if isinstance(text, str) else text.decode()
    assert "key" in found(f"it is {shown}.", {"key": PEM})
    excerpts = str([leak.excerpt for leak in leaks([("log", shown)], {"key": PEM})])
    assert not [line for line in LINES if line in excerpts]


def test_what_has_the_shape_of_a_secret_is_found_whoever_made_it() -> None:
    token = ".".join((*(["eyJ" + "a" * 20] * 2), "s" * 43))
    for text, what in (
        (token, "a JSON Web Token"),
        (PEM, "a private key"),
        (HASH, "a bcrypt hash"),
    ):
        assert found(f"it is {text}", {}) == [what]


def test_excerpts_show_what_is_around_and_no_other_secret() -> None:
    others = {"ci": SECRET, "admin": "another-secret"}
    first = leaks([("log", f"user=admin password=another-secret and {SECRET}!")], others)[0]
    shown = "user=admin password=[hidden] and " + "*" * len(SECRET) + "!"
    assert first == Leak(secret="admin", where="log", line=1, excerpt=shown)  # its name


def test_what_is_not_there_is_not_found() -> None:
    text = "s3cret-so-long with a/+ and czNjcmV0LXNv, and -----BEGIN CERTIFICATE-----"
    assert found(text, {"ci": SECRET, "short": "czNjcmV0LXN"}) == []


def secret(name: str, **data: str) -> dict[str, object]:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"metadata": {"namespace": "a", "name": name}, "type": "Opaque", "data": encoded}


LOGIN = {"auths": {"host": {"username": "pull", "password": "p" * 20, "auth": "a" * 20}}}
CASES: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"username": "ci", "password": "p" * 20, "ca.crt": "c"}, {"password": "p" * 20}),
    (
        {".dockerconfigjson": json.dumps(LOGIN)},
        {".dockerconfigjson (password)": "p" * 20, ".dockerconfigjson (auth)": "a" * 20},
    ),
    ({"tls.crt": "public", "tls.key": PEM}, {"tls.key (private key)": PEM.strip()}),
    ({"keys": f"created now\n{PEM}", "issuers": "{}"}, {"keys (private key)": PEM.strip()}),
    ({"htpasswd": f"ci:{HASH}\n"}, {"htpasswd (bcrypt hash)": HASH}),
    ({"fingerprints": '{"ci": "f1"}'}, {"fingerprints (ci)": "f1"}),
    (
        {"database-url": "postgresql://me:s%2Fecret@host/db", "secret-access-key": "k"},
        {"database-url (password)": "s/ecret", "secret-access-key": "k"},
    ),
]


@pytest.mark.parametrize(("data", "wanted"), CASES, ids=[next(iter(case[0])) for case in CASES])
def test_secrets_are_taken_apart(data: dict[str, str], wanted: dict[str, str]) -> None:
    assert values([secret("one", **data)]) == {f"a/one/{key}": one for key, one in wanted.items()}


def test_each_value_that_a_secret_had_is_kept() -> None:
    versions = [secret("one", password=one) for one in ("first", "second", "first")]
    assert values(versions) == {"a/one/password": "first", "a/one/password #2": "second"}


def test_secrets_of_others_are_none_of_ours() -> None:
    assert values([{**secret("one", release="r" * 20), "type": "helm.sh/release.v1"}]) == {}
