# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from cais_registry.app.lines import Lines
from cais_registry.app.logs import JsonFormatter
from cais_registry.http import audit, router
from cais_registry.http.acts import Act
from cais_registry.http.audit import Asked, AuditLog
from cais_registry.http.patience import Patience
from cais_registry.http.requests import Request, read
from cais_registry.http.responses import Response
from cais_registry.http.sinks import to_logging

DIGEST = "sha256:" + "a" * 64
MANIFEST = "/v2/team/app/manifests/v1"
BLOB = f"/v2/team/app/blobs/{DIGEST}"
UPLOAD = f"/v2/team/app/blobs/uploads/{'0' * 32}"
PUSH = Act(event="manifest.push", reference="v1", digest=DIGEST)


async def _nothing() -> dict[str, object]:
    return {"type": "http.disconnect"}


def request(method: str, path: str, **headers: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"method": method, "path": path, "query_string": b"", "headers": pairs}
    return read({**scope, "client": ("10.0.0.1", 4711)}, _nothing, Patience())


def asked(method: str, path: str, user: str | None = "ci", **known: Any) -> Asked:
    parsed = router.parse(method, path)
    return Asked(path=parsed, user=user, **{"is_identified": True, **known})


def told(
    made: Request, who: Asked, response: Response, *, pulls: bool = False
) -> list[Mapping[str, object]]:
    lines: list[Mapping[str, object]] = []
    AuditLog(lambda _, fields: lines.append(fields), pulls=pulls).write(made, who, response)
    return lines


def test_an_act_is_told_with_who_what_and_where() -> None:
    made = request("PUT", MANIFEST, x_request_id="f00-1")
    move = Act(event="tag.move", reference="v1", digest=DIGEST, previous_digest="sha256:b")
    response = Response(status=201, acts=(PUSH, move))
    common = {
        "outcome": "success",
        "status": 201,
        "user": "ci",
        "client": "10.0.0.1",
        "repository": "team/app",
        "reference": "v1",
        "digest": DIGEST,
        "request_id": "f00-1",
    }
    assert told(made, asked("PUT", MANIFEST), response) == [
        {"event": "manifest.push", **common},
        {"event": "tag.move", "previous_digest": "sha256:b", **common},
    ]


@pytest.mark.parametrize(
    ("method", "path", "status", "event"),
    [
        ("PUT", MANIFEST, 403, "manifest.push"),
        ("DELETE", MANIFEST, 403, "tag.delete"),
        ("DELETE", f"/v2/team/app/manifests/{DIGEST}", 403, "manifest.delete"),
        ("GET", MANIFEST, 403, "manifest.pull"),
        ("HEAD", BLOB, 403, "blob.pull"),
        ("DELETE", BLOB, 403, "blob.delete"),
        ("POST", "/v2/team/app/blobs/uploads/", 403, "blob.push"),
        ("PATCH", UPLOAD, 403, "blob.push"),
        ("GET", "/v2/team/app/tags/list", 403, "list"),
        ("POST", "/cais/v1/gc", 403, "admin.gc"),
        ("GET", "/cais/v1/config", 403, "admin.config"),
        ("PUT", MANIFEST, 401, "manifest.push"),
        ("PUT", MANIFEST, 507, "manifest.push"),
        ("GET", MANIFEST, 401, None),  # the first request of a client that is going to log in
        ("GET", MANIFEST, 404, None),
        ("GET", MANIFEST, 500, None),
        ("PUT", MANIFEST, 400, None),
    ],
)
def test_what_was_refused_or_failed_is_told(
    method: str, path: str, status: int, event: str | None
) -> None:
    user = None if status == 401 else "ci"
    lines = told(request(method, path), asked(method, path, user), Response(status=status))
    assert [line["event"] for line in lines] == ([] if event is None else [event])
    for line in lines:
        assert line["outcome"] == ("failed" if status >= 500 else "refused")
        assert line.get("user") == user


@pytest.mark.parametrize(("claimed", "named"), [("ci", {"user": "ci"}), (None, {})])
def test_a_login_that_fails_is_told_with_the_user_if_there_is_such_a_one(
    claimed: str | None, named: dict[str, str]
) -> None:
    who = asked("GET", "/v2/", None, is_identified=False, claimed=claimed)
    (line,) = told(request("GET", "/v2/"), who, Response(status=401))
    assert line == {
        "event": "login",
        "outcome": "refused",
        "status": 401,
        "client": "10.0.0.1",
        **named,
    }


def test_pulls_are_told_only_where_they_are_asked_for() -> None:
    made, who = request("GET", MANIFEST), asked("GET", MANIFEST)
    response = Response(headers=(("Docker-Content-Digest", DIGEST),))
    assert told(made, who, response) == []
    (line,) = told(made, who, response, pulls=True)
    assert (line["event"], line["reference"], line["digest"]) == ("manifest.pull", "v1", DIGEST)
    head = request("HEAD", MANIFEST)  # to ask whether it is there is no pull
    assert told(head, asked("HEAD", MANIFEST), response, pulls=True) == []
    tags = "/v2/team/app/tags/list"
    assert told(request("GET", tags), asked("GET", tags), Response(), pulls=True) == []


@pytest.mark.parametrize("identifier", ["", "a b", 'x"', "\x1b[2J", "x" * 129, "é"])
def test_a_request_id_that_has_not_the_form_of_one_is_left_out(identifier: str) -> None:
    made = request("PUT", MANIFEST, x_request_id=identifier)
    (line,) = told(made, asked("PUT", MANIFEST), Response(status=201, acts=(PUSH,)))
    assert "request_id" not in line


def test_a_line_is_bounded() -> None:
    many = tuple(f"t{number}" for number in range(10_000))
    who = asked("DELETE", MANIFEST, user="u" * 3000)
    gone = Act(event="manifest.delete", reference=DIGEST, digest=DIGEST, tags=many)
    (line,) = told(request("DELETE", MANIFEST), who, Response(status=202, acts=(gone,)))
    assert len(line["tags"]) == audit.MOST_TAGS  # type: ignore[arg-type]
    assert len(json.dumps(line)) < 3000


async def test_both_ways_of_writing_give_the_same_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=audit.LOGGER)
    written: list[bytes] = []
    lines = Lines(written.append)
    for sink in (lines.sink(audit.LOGGER), to_logging(audit.LOGGER)):
        AuditLog(sink, pulls=False).write(
            request("PUT", MANIFEST), asked("PUT", MANIFEST), Response(status=201, acts=(PUSH,))
        )
    lines.flush()
    fast, slow = json.loads(written[0]), json.loads(JsonFormatter().format(caplog.records[0]))
    assert [*fast] == [*slow]
    assert fast["logger"] == slow["logger"] == "cais.audit"
    assert fast["message"] == slow["message"] == "manifest.push team/app v1 success"
