# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import inspect
import json

import pytest

from cais_registry.http import errors as http_errors
from cais_registry.model import errors


def _classes() -> list[type[errors.RegistryError]]:
    found = {
        item
        for module in (errors, http_errors)
        for _, item in inspect.getmembers(module, inspect.isclass)
        if issubclass(item, errors.RegistryError) and item is not errors.RegistryError
    }
    return sorted(found, key=lambda item: item.__name__)


@pytest.mark.parametrize("kind", _classes())
def test_every_error_has_a_status_and_a_code(kind: type[errors.RegistryError]) -> None:
    status, code = http_errors.STATUS_AND_CODE[kind]
    assert 400 <= status <= 599
    assert code == code.upper()


def test_the_body_is_the_one_of_the_specification() -> None:
    error = errors.ManifestBlobUnknown("blobs are missing", detail=["sha256:x"])
    response = http_errors.respond(error)
    assert response.status == 404
    assert ("Content-Type", "application/json") in response.headers
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == {
        "errors": [
            {
                "code": "MANIFEST_BLOB_UNKNOWN",
                "message": "blobs are missing",
                "detail": ["sha256:x"],
            }
        ]
    }


def test_an_error_that_is_not_in_the_table_is_a_fault_of_ours() -> None:
    class Unlisted(errors.RegistryError):
        pass

    assert http_errors.respond(Unlisted("x")).status == 500


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (http_errors.RangeNotSatisfiable(7), ("Content-Range", "bytes */7")),
        (http_errors.MethodNotAllowed("PUT", ("GET", "HEAD")), ("Allow", "GET, HEAD")),
        (errors.Unsupported("x"), ("Allow", "GET, HEAD")),
        (errors.TooManyRequests("x"), ("Retry-After", "1")),
        (errors.Unavailable("x"), ("Retry-After", "5")),
        (errors.StorageUnavailable("x"), ("Retry-After", "5")),
        (http_errors.ShuttingDown("x"), ("Retry-After", "5")),
    ],
)
def test_headers_that_belong_to_an_error(
    error: errors.RegistryError, header: tuple[str, str]
) -> None:
    assert header in http_errors.respond(error).headers
