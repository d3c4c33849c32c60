# SPDX-License-Identifier: Apache-2.0
"""Whatever is put into a parser, it is understood in one way or refused with a reason."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cais_registry.config import document, durations, settings
from cais_registry.config.errors import ConfigError
from cais_registry.config.settings import Flags
from cais_registry.http import gate, htpasswd, ranges, router
from cais_registry.http.listings import next_page
from cais_registry.http.patience import Patience
from cais_registry.http.requests import Message, read
from cais_registry.model.digest import Digest
from cais_registry.model.errors import ManifestInvalid, RegistryError
from cais_registry.model.manifest import parse
from cais_registry.model.names import RepoName, Tag
from cais_registry.services.access import Action, compile_rules
from support.fuzz_requests import DIGESTS, KINDS, MANIFESTS, SPANS, TAGS, TEXT, mutated, paths

Search: TypeAlias = Callable[[Callable[[], None]], None]
GLOBS = st.text(alphabet="ab0.-_*/", max_size=12) | TEXT


def test_paths(search: Search) -> None:
    """A path that is read says the same when it is written again."""

    @given(st.sampled_from(["GET", "PUT", "DELETE", "POST", "PATCH"]), paths())
    def prove(method: str, path: str) -> None:
        with suppress(RegistryError):
            found = router.parse(method, path)
            if isinstance(found, router.ManifestPath):
                again = f"/v2/{found.repo}/manifests/{found.reference}"
                assert router.parse(method, again) == found
            if isinstance(found, router.BlobPath):
                assert router.parse(method, f"/v2/{found.repo}/blobs/{found.digest}") == found

    search(prove)


def test_names_digests_and_tags(search: Search) -> None:
    @given(TEXT | DIGESTS | TAGS)
    def prove(text: str) -> None:
        for kind in (RepoName, Tag, Digest):
            with suppress(RegistryError):
                assert str(kind.parse(text)) == text
                assert re.fullmatch(r"[A-Za-z0-9._:/-]+", text)

    search(prove)


def test_ranges(search: Search) -> None:
    """A part that is sent lies within the blob."""

    @given(SPANS.map("bytes={}".format) | TEXT, st.integers(0, 10**20))
    def prove(header: str, size: int) -> None:
        with suppress(RegistryError):
            part = ranges.wanted({"range": header}, size=size, etag='"x"')
            if part is not None:
                start, length = part
                assert 0 <= start < size
                assert 0 < length <= size - start

    search(prove)


def test_ranges_of_chunks(search: Search) -> None:
    @given(SPANS | st.builds("bytes {}/*".format, SPANS) | TEXT)
    def prove(header: str) -> None:
        with suppress(RegistryError):
            found = ranges.chunk({"content-range": header})
            assert found is not None
            assert found[0] >= 0
            assert found[1] > 0

    search(prove)


def test_logins(search: Search) -> None:
    """A user and a password come out as they went in; anything else is refused."""

    @given(st.text(alphabet=st.characters(exclude_characters=":"), max_size=20), st.text(), TEXT)
    def prove(user: str, password: str, header: str) -> None:
        pair = f"{user}:{password}".encode("utf-8", "replace")
        sent = "Basic " + base64.b64encode(pair).decode()
        with suppress(RegistryError):
            assert gate._basic(sent) == tuple(pair.decode().split(":", 1))
        with suppress(RegistryError):
            gate._basic(header)

    search(prove)


async def _nothing() -> Message:
    raise AssertionError


def test_links_to_the_next_page(search: Search) -> None:
    """The link leads to the same list after the last item, with everything else kept."""

    @given(st.lists(st.tuples(st.sampled_from(["n", "last", "x", "é"]), TEXT), max_size=4), TEXT)
    def prove(pairs: list[tuple[str, str]], last: str) -> None:
        query = "&".join(f"{quote(key)}={quote(value)}" for key, value in pairs).encode()
        scope = {"method": "GET", "path": "/v2/a/tags/list", "headers": [], "query_string": query}
        request = read(scope, _nothing, Patience())
        ((name, value),) = next_page(request, last, n=5)
        assert name == "Link"
        target = urlsplit(value.removeprefix("<").removesuffix('>; rel="next"'))
        assert target.path == "/v2/a/tags/list"
        kept = [pair for pair in request.query or () if pair[0] not in {"n", "last"}]
        found = parse_qsl(target.query, keep_blank_values=True)
        assert found == [*kept, ("n", "5"), ("last", last)]

    search(prove)


def test_manifests(search: Search) -> None:
    """A manifest that is read refers to what its JSON says, each thing once or more."""

    @given(mutated(st.sampled_from(MANIFESTS)) | st.binary(), st.none() | KINDS)
    def prove(content: bytes, kind: str | None) -> None:
        with suppress(ManifestInvalid):
            found = parse(content, kind, max_references=50)
            assert found.media_type.isprintable()
            said = msgspec.json.decode(content)
            assert isinstance(said, dict)
            for digest in (*found.blobs, *found.children, *found.optional):
                assert str(digest).encode() in content.replace(b"\\/", b"/")

    search(prove)


def test_configurations(search: Search) -> None:
    trees = st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["data", "listen", "limits", "timeouts", "access", "rules", "x"]),
                inner,
            )
        ),
    )

    @given(trees.map(msgspec.json.encode).map(bytes.decode) | st.text())
    def prove(text: str) -> None:
        with suppress(ConfigError):
            assert settings.resolve(document.parse(text), Flags()).host

    search(prove)


def test_durations(search: Search) -> None:
    @given(st.text(alphabet="0123456789.hmsuµn-+ ", max_size=30) | st.text())
    def prove(text: str) -> None:
        with suppress(ConfigError):
            assert durations.parse(text).total_seconds() >= 0

    search(prove)


def test_users(search: Search) -> None:
    hashed = "$2b$04$" + "a" * 53

    @given(st.lists(TEXT.map(lambda user: f"{user}:{hashed}") | TEXT).map("\n".join))
    def prove(text: str) -> None:
        with suppress(htpasswd.HtpasswdError):
            for user in htpasswd.parse(text):
                assert user
                assert ":" not in user

    search(prove)


def test_rules(search: Search) -> None:
    """A glob that the configuration takes is compiled, and matches itself where it has no stars."""

    @given(GLOBS, TEXT | GLOBS)
    def prove(glob: str, name: str) -> None:
        rule = document.Rule(users=("*",), repositories=(glob,), actions=("pull",))
        doc = document.Document(
            auth=document.AuthFiles(htpasswd_file="f"), access=document.Access(rules=(rule,))
        )
        with suppress(ConfigError):
            access = settings.resolve(doc, Flags()).access
            rules = compile_rules(access)
            for text in (glob, name):
                with suppress(RegistryError):
                    repo = RepoName.parse(text)
                    allowed = rules.allows("somebody", Action.PULL, repo)
                    assert allowed or text != glob

    search(prove)
