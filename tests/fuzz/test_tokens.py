# SPDX-License-Identifier: Apache-2.0
"""Whatever comes as a token or a scope opens nothing that was not given out."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from cais_registry.http.grants import Access, grant_of, narrow
from cais_registry.http.tokens import Terms, Tokens
from cais_registry.model.errors import Unauthorized
from cais_registry.model.names import RepoName
from cais_registry.services.access import Action
from support.fuzz_requests import TEXT
from support.tokens import Key, b64

Search: TypeAlias = Callable[[Callable[[], None]], None]

TOKENS = Tokens(Terms(service="s", seconds=300, realms={}), [Key().pem])
ACCESS = [Access("repository", "a", ("pull",))]
GOOD = TOKENS.issue("ci", ACCESS, until=None).text
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["Ed25519", "EdDSA", "none", "HS256", "ES256"]) | JSON,
        "kid": st.sampled_from(list(TOKENS._keys)) | JSON,
        "typ": st.just("JWT") | JSON,
        "crit": JSON,
        "b64": JSON,
        "jwk": JSON,
        "x5c": JSON,
    },
)


def test_tokens(search: Search) -> None:
    parts = GOOD.split(".")
    made = st.builds(lambda head: ".".join([b64(json.dumps(head).encode()), *parts[1:]]), HEADERS)
    spliced = st.builds(
        lambda at, text: GOOD[:at] + text + GOOD[at + len(text) :],
        st.integers(0, len(GOOD)),
        st.text("AZaz09-_.=+/ ", max_size=3) | TEXT,
    )

    @given(made | spliced | TEXT)
    def prove(text: str) -> None:
        with suppress(Unauthorized):
            found = TOKENS.verify(text)
            assert (found.user, found.grant) == ("ci", grant_of(ACCESS))

    search(prove)


SCOPES = st.builds(
    "{}:{}:{}".format,
    st.sampled_from(["repository", "registry", "repository(plugin)", "x"]) | TEXT,
    st.sampled_from(["a", "b/c", "catalog", "host:5000/a", "A"]) | TEXT,
    st.sampled_from(["pull", "push,pull", "*", "delete", "pull,x", "admin", ""]) | TEXT,
)


def test_scopes(search: Search) -> None:
    """What is granted was asked for, is allowed, and is read back as what it says."""
    allowed = {(Action.PULL, "a"), (Action.PUSH, "a"), (Action.PULL, "b/c")}

    @given(st.lists(SCOPES | TEXT, max_size=5), st.booleans())
    def prove(scopes: list[str], catalog: bool) -> None:
        granted = narrow(
            scopes, may=lambda action, repo: (action, repo.value) in allowed, catalog=catalog
        )
        grant = grant_of(granted)
        assert not grant.catalog or (catalog and "registry:catalog:*" in scopes)
        for action in Action:
            for name in ("a", "b/c", "other"):
                if grant.covers(action, RepoName(name)):
                    assert (action, name) in allowed
                    assert any(f":{name}:" in scope for scope in scopes)

    search(prove)
