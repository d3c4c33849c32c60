# SPDX-License-Identifier: Apache-2.0
"""Requests that a registry may get: sensible ones, and ones that are changed a little or a lot."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from cais_registry.model.manifest import DOCKER_LIST, OCI_IMAGE, OCI_INDEX
from support.in_process import Header, Sent

HERE = "{here}"
"""Stands for the upload that was begun last."""

CONTENTS = (b"", b"{}", b"layer", b"0123456789" * 30_000)
USERS = {"reader": "r", "writer": "w", "boss": "b"}


def digest(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def descriptor(content: bytes, kind: str = "application/x", **more: Any) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest(content), "size": len(content), **more}


def image(*layers: bytes, **more: Any) -> bytes:
    config = descriptor(b"{}", more.pop("config_type", "application/x"))
    document = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": config}
    return json.dumps({**document, "layers": [descriptor(c) for c in layers], **more}).encode()


def index(*children: bytes, **more: Any) -> bytes:
    manifests = [descriptor(child, OCI_IMAGE) for child in children]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    return json.dumps({**document, **more}).encode()


PLAIN = (image(), image(b"layer"), image(b"layer", b""), image(b"0123456789" * 30_000))
MANIFESTS = (
    *PLAIN,
    index(),
    index(PLAIN[0]),
    index(PLAIN[0], PLAIN[1], subject=descriptor(PLAIN[2])),
    image(subject=descriptor(PLAIN[0]), annotations={"a": "b"}),
    image(subject=descriptor(b"nothing"), artifactType="a/b"),
    image(artifactType="\0\r\n\ud7ff\U0001f600", annotations={"\0": "\r\n" * 9}),
)

ODD = st.sampled_from(
    ["", " ", "\0", "\r\n", "..", "%", "%zz", "%2f", "/", "\xff", "é", "\U0001f600"]
)
TEXT = st.text(max_size=12) | ODD
NUMBERS = st.sampled_from(["0", "1", "2", "-1", "1e9", "9" * 30, "9" * 5000, "٣", "0x1"]) | TEXT
NAMES = st.sampled_from(["a", "team/app", "x/blobs/y", "tags/list", "A", "a//b", "a" * 256]) | TEXT
TAGS = st.sampled_from(["v1", "latest", "x" * 129, "-x"]) | TEXT
DIGESTS = (
    st.sampled_from([digest(content) for content in (*CONTENTS, *MANIFESTS)])
    | st.sampled_from([digest(content, "sha512") for content in (*CONTENTS, *MANIFESTS)])
    | st.sampled_from(["sha256:", "sha256:" + "A" * 64, "md5:" + "a" * 32, "sha256:" + "é" * 64])
    | TEXT
)
UPLOADS = st.sampled_from([HERE] * 8 + ["0" * 32, "x"]) | TEXT
KINDS = st.sampled_from([OCI_IMAGE, OCI_INDEX, DOCKER_LIST, "a/b", "text", ""]) | TEXT


def mutated(contents: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Some of them with a part taken out, or something put in."""

    def change(content: bytes, at: int, cut: int, put: bytes) -> bytes:
        where = at % (len(content) + 1)
        return content[:where] + put + content[where + cut :]

    parts = st.sampled_from(
        [b"", b"\0", b"[", b"{", b'"', b"\\ud800", b"1e999", b"9" * 5000, b"\xff"]
    )
    return contents | st.builds(change, contents, st.integers(0, 999), st.integers(0, 9), parts)


BODIES = mutated(st.sampled_from(CONTENTS)) | mutated(st.sampled_from(MANIFESTS)) | st.binary()


def encoded(text: str) -> str:
    return quote(text, safe="/:{}")


def paths() -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("/v2/{}/blobs/{}".format, NAMES, DIGESTS),
        st.builds("/v2/{}/blobs/uploads/".format, NAMES),
        st.builds("/v2/{}/blobs/uploads/{}".format, NAMES, UPLOADS),
        st.builds("/v2/{}/manifests/{}".format, NAMES, TAGS | DIGESTS),
        st.builds("/v2/{}/tags/list".format, NAMES),
        st.builds("/v2/{}/referrers/{}".format, NAMES, DIGESTS),
        st.builds("/cais/v1/{}".format, st.sampled_from(["gc", "usage", "config"]) | TEXT),
        st.sampled_from(
            ["/v2/", "/v2", "/v2/_catalog", "/healthz", "/readyz", "/metrics", "/", ""]
        ),
        st.builds("/v2/{}".format, TEXT),
    ).map(encoded)


PARAMETERS = st.one_of(
    st.tuples(st.sampled_from(["digest", "mount"]), DIGESTS),
    st.tuples(st.sampled_from(["from", "ns"]), NAMES),
    st.tuples(st.sampled_from(["n", "last"]), NUMBERS | TAGS | DIGESTS),
    st.tuples(st.just("tag"), TAGS),
    st.tuples(st.just("artifactType"), KINDS),
    st.tuples(st.just("digest-algorithm"), st.sampled_from(["sha256", "sha512", "md5", ""])),
    st.tuples(TEXT, TEXT),
)


def queries() -> st.SearchStrategy[str]:
    def join(pairs: list[tuple[str, str]], *, raw: bool) -> str:
        text = "&".join(f"{key}={value}" for key, value in pairs)
        safe = text.encode("latin-1", "replace").decode("latin-1") if raw else None
        return safe or "&".join(f"{encoded(key)}={encoded(value)}" for key, value in pairs)

    return st.builds(join, st.lists(PARAMETERS, max_size=3), raw=st.booleans())


def header_text(text: str) -> str:
    """What an HTTP server lets through in a header."""
    return "".join(c for c in text if c not in "\r\n\0" and ord(c) < 256)


SPANS = st.builds("{}-{}".format, NUMBERS, NUMBERS) | st.sampled_from(["0-", "-5", "-", "0-4,6-8"])
LOGINS = st.sampled_from([f"{user}:{password}" for user, password in USERS.items()]) | TEXT
HEADERS = st.one_of(
    st.tuples(st.just("range"), st.builds("bytes={}".format, SPANS) | TEXT),
    st.tuples(st.just("content-range"), SPANS | st.builds("bytes {}/*".format, SPANS) | TEXT),
    st.tuples(st.just("content-type"), KINDS),
    st.tuples(st.sampled_from(["if-none-match", "if-range"]), DIGESTS.map('"{}"'.format) | TEXT),
    st.tuples(st.sampled_from(["accept", "expect", "user-agent", "x"]), TEXT),
    st.tuples(
        st.just("authorization"),
        LOGINS.map(lambda text: "Basic " + base64.b64encode(text.encode()).decode()) | TEXT,
    ),
).map(lambda pair: (pair[0], header_text(pair[1])))


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """Any request; its length is told rightly, wrongly, or not at all."""
    body = draw(BODIES)
    size = draw(st.integers(1, 5)) * 10_000
    pieces = tuple(body[at : at + size] for at in range(0, len(body), size))
    length = draw(st.sampled_from([str(len(body))] * 6 + ["0", "5", "x", "9" * 5000, "-1"]))
    framing: Header = draw(
        st.sampled_from([("content-length", length), ("transfer-encoding", "chunked")])
    )
    query = draw(queries())
    return Sent(
        method=draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "X"])),
        target=draw(paths()) + (f"?{query}" if query else ""),
        headers=(framing, *draw(st.lists(HEADERS, max_size=4))),
        pieces=pieces,
        hangs_up=draw(st.sampled_from([False] * 9 + [True])),
    )


def push_blob(name: str, content: bytes) -> Sent:
    return Sent(
        method="POST",
        target=f"/v2/{name}/blobs/uploads/?digest={digest(content)}",
        headers=(("content-length", str(len(content))),),
        pieces=(content,) if content else (),
    )


def push_manifest(name: str, reference: str, content: bytes) -> Sent:
    return Sent(
        method="PUT",
        target=f"/v2/{name}/manifests/{reference}",
        headers=(("content-length", str(len(content))),),
        pieces=(content,),
    )


GOOD = st.builds(
    push_blob, st.sampled_from(["a", "team/app"]), st.sampled_from(CONTENTS)
) | st.builds(
    push_manifest,
    st.sampled_from(["a", "team/app"]),
    st.sampled_from(["v1", "latest"]),
    st.sampled_from(MANIFESTS),
)
SEQUENCES = st.lists(requests() | GOOD, min_size=1, max_size=12)
