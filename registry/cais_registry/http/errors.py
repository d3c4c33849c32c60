# SPDX-License-Identifier: Apache-2.0
"""The one table of errors, and their body (OCI distribution-spec, "Error codes")."""

from __future__ import annotations

import json
from typing import Final

from cais_registry.http.responses import Headers, Response
from cais_registry.model import errors


class NoSuchPage(errors.RegistryError):
    """The path is none of ours."""


class MethodNotAllowed(errors.RegistryError):
    """The path exists, the method does not.

    Attributes:
        allowed: The methods that do.
    """

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method[:20]} is not done here; allowed: {', '.join(allowed)}")
        self.allowed = allowed


class BadRequest(errors.RegistryError):
    """A header, parameter or body that cannot be understood."""


class InvalidToken(errors.Unauthorized):
    """A token that is not, or no longer, a good one of this registry (RFC 6750, 3.1)."""


class InsufficientScope(errors.Unauthorized):
    """A good token that was not given out for this; another one may be (RFC 6750, 3.1)."""


class RequestTimeout(errors.RegistryError):
    """The client stopped sending."""


class ShuttingDown(errors.RegistryError):
    """The server is being stopped and takes no new requests."""


class TooManyTags(errors.RegistryError):
    """More `tag` parameters than are taken at once (distribution-spec end-7b)."""


class RangeNotSatisfiable(errors.RegistryError):
    """No byte of the asked range exists (RFC 9110, 15.5.17).

    Attributes:
        size: Bytes that there are.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"there is no byte in this range: ask for bytes 0 to {size - 1}")
        self.size = size


STATUS_AND_CODE: Final[dict[type[errors.RegistryError], tuple[int, str]]] = {
    errors.BlobUnknown: (404, "BLOB_UNKNOWN"),
    errors.BlobUploadInvalid: (400, "BLOB_UPLOAD_INVALID"),
    errors.BlobUploadUnknown: (404, "BLOB_UPLOAD_UNKNOWN"),
    errors.UploadBusy: (416, "BLOB_UPLOAD_INVALID"),
    errors.RangeInvalid: (416, "BLOB_UPLOAD_INVALID"),
    errors.DigestInvalid: (400, "DIGEST_INVALID"),
    errors.SizeInvalid: (400, "SIZE_INVALID"),
    errors.ManifestBlobUnknown: (404, "MANIFEST_BLOB_UNKNOWN"),
    errors.ManifestInvalid: (400, "MANIFEST_INVALID"),
    errors.ManifestTooLarge: (413, "SIZE_INVALID"),
    errors.ManifestUnknown: (404, "MANIFEST_UNKNOWN"),
    errors.NameInvalid: (400, "NAME_INVALID"),
    errors.NameUnknown: (404, "NAME_UNKNOWN"),
    errors.TagInvalid: (400, "TAG_INVALID"),
    errors.PaginationInvalid: (400, "PAGINATION_NUMBER_INVALID"),
    errors.Unsupported: (405, "UNSUPPORTED"),
    errors.ReadOnly: (405, "UNSUPPORTED"),
    errors.Denied: (403, "DENIED"),
    errors.QuotaExceeded: (403, "DENIED"),
    errors.Unauthorized: (401, "UNAUTHORIZED"),
    errors.TooManyRequests: (429, "TOOMANYREQUESTS"),
    errors.StorageFull: (507, "UNAVAILABLE"),
    errors.StorageUnavailable: (503, "UNAVAILABLE"),
    errors.Unavailable: (503, "UNAVAILABLE"),
    NoSuchPage: (404, "UNSUPPORTED"),
    MethodNotAllowed: (405, "UNSUPPORTED"),
    BadRequest: (400, "UNSUPPORTED"),
    InvalidToken: (401, "UNAUTHORIZED"),
    InsufficientScope: (401, "UNAUTHORIZED"),
    RequestTimeout: (408, "BLOB_UPLOAD_INVALID"),
    ShuttingDown: (503, "UNAVAILABLE"),
    TooManyTags: (414, "TAG_INVALID"),
    RangeNotSatisfiable: (416, "RANGE_INVALID"),
}
"""Every error that may reach a client; one that is missing here is a fault of ours (500)."""

UNEXPECTED: Final = (500, "UNKNOWN")


def respond(error: errors.RegistryError) -> Response:
    """Make the answer to a request that failed."""
    status, code = STATUS_AND_CODE.get(type(error), UNEXPECTED)
    return _json(status, code, error.message, error.detail, _headers(error))


def respond_unexpected() -> Response:
    """Make the answer to a request that failed by a fault of ours; the log has the reason."""
    status, code = UNEXPECTED
    return _json(status, code, "the registry failed; its log says why", None, ())


def _json(
    status: int, code: str, message: str, detail: errors.Detail, headers: Headers
) -> Response:
    entry: dict[str, errors.Detail] = {"code": code, "message": message, "detail": detail}
    body = json.dumps({"errors": [entry]}).encode()
    return Response(
        status=status, headers=(("Content-Type", "application/json"), *headers), body=body
    )


def _headers(error: errors.RegistryError) -> Headers:
    match error:
        case MethodNotAllowed(allowed=allowed):
            return (("Allow", ", ".join(allowed)),)
        case errors.ReadOnly() | errors.Unsupported():
            return (("Allow", "GET, HEAD"),)  # a 405 has to say (RFC 9110, 15.5.6)
        case RangeNotSatisfiable(size=size):
            return (("Content-Range", f"bytes */{size}"),)
        case errors.TooManyRequests():
            return (("Retry-After", "1"),)
        case ShuttingDown() | errors.StorageUnavailable() | errors.Unavailable():
            return (("Retry-After", "5"),)
        case _:
            return ()
