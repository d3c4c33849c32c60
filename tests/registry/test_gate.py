# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64

import bcrypt
import pytest

from cais_registry.config.document import Access, Rule
from cais_registry.config.identities import Issuer
from cais_registry.http import identities, requests, router
from cais_registry.http.credentials import Verifier
from cais_registry.http.gate import Caller, Gate, authorise
from cais_registry.http.patience import Patience
from cais_registry.model.errors import Denied, Unauthorized
from cais_registry.services.access import OPEN, Permissions, compile_rules
from support.issuer import AUDIENCE, ISSUER, PUSHER, claims, published, rsa, token

USERS = {"ci": (bcrypt.hashpw(b"secret", bcrypt.gensalt(4)),)}
CLUSTER = Issuer(issuer=ISSUER, audiences=(AUDIENCE,), jwks_file="/keys", kind="kubernetes")
HEX = "a" * 64
PERMISSIONS = compile_rules(
    Access(
        rules=(
            Rule(users=("reader",), repositories=("a",), actions=("pull",)),
            Rule(users=("writer",), repositories=("a",), actions=("pull", "push")),
            Rule(users=("creator",), repositories=("a",), actions=("create",)),
            Rule(users=("cleaner",), repositories=("a",), actions=("delete",)),
            Rule(users=("gc",), repositories=(), actions=("gc",)),
            Rule(users=("boss",), repositories=(), actions=("admin",)),
        )
    )
)
EVERY_PATH = [
    ("GET", "/v2/"),
    ("GET", "/v2/_catalog"),
    ("GET", f"/v2/a/blobs/sha256:{HEX}"),
    ("HEAD", f"/v2/a/blobs/sha256:{HEX}"),
    ("DELETE", f"/v2/a/blobs/sha256:{HEX}"),
    ("POST", "/v2/a/blobs/uploads/"),
    *((method, f"/v2/a/blobs/uploads/{'0' * 32}") for method in ("GET", "PATCH", "PUT", "DELETE")),
    *((method, "/v2/a/manifests/v1") for method in ("GET", "HEAD", "PUT", "DELETE")),
    ("GET", "/v2/a/tags/list"),
    ("GET", f"/v2/a/referrers/sha256:{HEX}"),
    ("POST", "/cais/v1/gc"),
    ("GET", "/cais/v1/gc"),
    ("GET", "/cais/v1/usage"),
    ("GET", "/cais/v1/config"),
]


def is_let_through(user: str | None, method: str, path: str, rules: Permissions) -> bool:
    caller = Caller(user=user, permissions=rules)
    try:
        authorise(caller, method, router.parse(method, path))
    except (Unauthorized, Denied):
        return False
    return True


@pytest.mark.parametrize(("method", "path"), EVERY_PATH)
def test_someone_anonymous_is_sent_to_log_in_everywhere(method: str, path: str) -> None:
    caller = Caller(user=None, permissions=compile_rules(Access()))
    with pytest.raises(Unauthorized):
        authorise(caller, method, router.parse(method, path))


@pytest.mark.parametrize(("method", "path"), EVERY_PATH)
def test_an_open_registry_refuses_nobody(method: str, path: str) -> None:
    assert is_let_through(None, method, path, OPEN)


@pytest.mark.parametrize("name", router.PROBES)
def test_probes_need_no_login(name: str) -> None:
    assert is_let_through(None, "GET", f"/{name}", compile_rules(Access()))


ALWAYS = {("GET", "/v2/"), ("GET", "/v2/_catalog")}
READS = {
    ("GET", f"/v2/a/blobs/sha256:{HEX}"),
    ("HEAD", f"/v2/a/blobs/sha256:{HEX}"),
    ("GET", "/v2/a/manifests/v1"),
    ("HEAD", "/v2/a/manifests/v1"),
    ("GET", "/v2/a/tags/list"),
    ("GET", f"/v2/a/referrers/sha256:{HEX}"),
}
DELETES = {("DELETE", f"/v2/a/blobs/sha256:{HEX}"), ("DELETE", "/v2/a/manifests/v1")}
ADMIN = {case for case in EVERY_PATH if case[1].startswith("/cais/")}
PUSHES = set(EVERY_PATH) - ALWAYS - READS - DELETES - ADMIN


@pytest.mark.parametrize(
    ("user", "allowed"),
    [
        ("stranger", ALWAYS),
        ("reader", ALWAYS | READS),
        ("writer", ALWAYS | READS | PUSHES),
        ("creator", ALWAYS | PUSHES),
        ("cleaner", ALWAYS | DELETES),
        ("gc", ALWAYS | {("POST", "/cais/v1/gc"), ("GET", "/cais/v1/gc")}),
        ("boss", ALWAYS | ADMIN),
    ],
)
def test_users_pass_where_a_rule_says_so(user: str, allowed: set[tuple[str, str]]) -> None:
    passed = {case for case in EVERY_PATH if is_let_through(user, *case, PERMISSIONS)}
    assert passed == allowed


def test_a_repository_one_may_not_read_looks_like_one_that_cannot_exist() -> None:
    """The answer comes from rules and names; nothing was looked up."""
    caller = Caller(user="reader", permissions=PERMISSIONS)
    words = set()
    for name in ("secret", "missing"):
        with pytest.raises(Denied) as caught:
            authorise(caller, "GET", router.parse("GET", f"/v2/{name}/tags/list"))
        words.add(caught.value.message)
    assert len(words) == 1


def gate() -> Gate:
    return Gate(compile_rules(Access()), verifier=Verifier(USERS), realm="cais")


def request(authorization: str | None) -> requests.Request:
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]

    async def receive() -> requests.Message:
        return {"type": "http.disconnect"}

    scope = {"method": "GET", "path": "/v2/", "query_string": b"", "headers": headers}
    return requests.read(scope, receive, Patience())


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


async def test_who_sends_the_right_password_is_known() -> None:
    assert (await gate().identify(request(basic("ci:secret")))).user == "ci"
    assert (await gate().identify(request(basic("ci:secret").replace("Basic", "basic")))).user


async def test_who_sends_no_credentials_is_anonymous() -> None:
    assert (await gate().identify(request(None))).user is None


@pytest.mark.parametrize(
    "authorization",
    [
        basic("ci:wrong"),
        basic("ci:" + "s" * 73),
        basic("nobody:secret"),
        basic("ci"),
        "Basic !!!",
        "Basic",
        "Bearer abc",
        "Bearer",
        f"Bearer {token(claims(iss='https://evil.example'))}",
        basic(f"ci:{token(claims(iss='https://evil.example'))}"),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic " + "A" * 5000,
    ],
)
async def test_bad_credentials_are_refused_even_where_none_are_needed(authorization: str) -> None:
    with pytest.raises(Unauthorized):
        await gate().identify(request(authorization))


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "basic"])
async def test_who_shows_a_good_token_is_its_subject_whatever_the_name_beside_it(form: str) -> None:
    entry = gate()
    entry.bearer.replace(identities.build((CLUSTER,), {"/keys": published(rsa())}).verifiers)
    header = basic(f"ci:{token()}") if form == "basic" else form.format(token())
    assert (await entry.identify(request(header))).user == PUSHER
    assert entry.logins == {"success": 1}
    assert (await entry.identify(request(basic("ci:secret")))).user == "ci"
    assert entry.logins == {"success": 2}


async def test_a_header_that_was_right_ends_with_its_user_at_once() -> None:
    verifier = Verifier(USERS)
    entry = Gate(compile_rules(Access()), verifier=verifier, realm="cais")
    for _ in range(3):
        assert (await entry.identify(request(basic("ci:secret")))).user == "ci"
    assert entry.logins == {"success": 1}
    verifier.replace({})
    with pytest.raises(Unauthorized):
        await entry.identify(request(basic("ci:secret")))


async def test_a_token_in_place_of_a_password_is_looked_at_every_time() -> None:
    entry = gate()
    entry.bearer.replace(identities.build((CLUSTER,), {"/keys": published(rsa())}).verifiers)
    header = basic(f"ci:{token()}")
    assert (await entry.identify(request(header))).user == PUSHER
    entry.bearer.replace({})
    with pytest.raises(Unauthorized):
        await entry.identify(request(header))


async def test_an_open_registry_ignores_credentials() -> None:
    open_gate = Gate(OPEN, verifier=None, realm=None)
    assert (await open_gate.identify(request(basic("who:cares")))).user is None


def test_the_challenge_names_the_realm() -> None:
    found = gate().challenge(request(None), None, Unauthorized("x"))
    assert found == (("WWW-Authenticate", 'Basic realm="cais", charset="UTF-8"'),)
