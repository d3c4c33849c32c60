# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from cais_operator import errors
from cais_operator.cluster import Expired
from cais_operator.cluster.errors_map import error_from

UNDECLARED = ".spec.x: field not declared in schema"
TERMINATING = {"details": {"causes": [{"reason": "NamespaceTerminating"}]}}


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, {"message": "strict decoding error"}, errors.Rejected),
        (401, {}, errors.ApiUnavailable),
        (403, {"message": "forbidden"}, errors.Rejected),
        (403, TERMINATING, errors.NotFound),
        (404, {}, errors.NotFound),
        (409, {"message": "changed"}, errors.Conflict),
        (410, {}, Expired),
        (422, {"message": "spec.x: Invalid value"}, errors.Rejected),
        (429, {}, errors.ApiUnavailable),
        (500, {"message": "etcd is away"}, errors.ApiUnavailable),
        (500, {"message": UNDECLARED}, errors.Rejected),
        (503, {}, errors.ApiUnavailable),
        (504, {}, errors.ApiUnavailable),
        (520, {}, errors.ApiUnavailable),  # of a proxy
        (499, {}, errors.Rejected),
    ],
)
def test_each_answer_has_its_error(
    status: int, said: dict[str, object], kind: type[Exception]
) -> None:
    found = error_from(status, {}, json.dumps(said).encode(), "Service a/b")
    assert type(found) is kind
    assert "Service a/b" in str(found)
    assert str(said.get("message", "")) in str(found)


def test_the_wish_to_be_left_alone_is_kept() -> None:
    found = error_from(429, {"Retry-After": "7"}, b"{}", "x")
    assert isinstance(found, errors.ApiUnavailable)
    assert found.retry_after == 7


def test_a_wish_to_be_left_alone_for_ever_is_not() -> None:
    found = error_from(503, {"Retry-After": "999999999"}, b"{}", "x")
    assert isinstance(found, errors.ApiUnavailable)
    assert found.retry_after == 300


@pytest.mark.parametrize("body", [b"", b"<html>proxy</html>", b"[]", b"null", b"\xff\xfe"])
def test_an_answer_that_is_no_status_object_is_read_all_the_same(body: bytes) -> None:
    assert isinstance(error_from(503, {"Retry-After": "soon"}, body, "x"), errors.ApiUnavailable)
