# SPDX-License-Identifier: Apache-2.0
"""Everything that can be wrong with a request, one class per kind.

The classes follow the error codes of the OCI distribution specification 1.1 and of the older
Docker protocol. How each is told to a client (status, code) is decided by the http room alone.
"""

from __future__ import annotations

from typing import TypeAlias

Detail: TypeAlias = "str | int | bool | list[Detail] | dict[str, Detail] | None"


class RegistryError(Exception):
    """A request that cannot be done; nothing was changed by it unless a subclass says so.

    Attributes:
        message: What happened, to what, and what is allowed; fit for a client's eyes.
        detail: More about it in JSON terms, or None.
    """

    def __init__(self, message: str, *, detail: Detail = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class BlobUnknown(RegistryError):  # noqa: N818 - named after the OCI code
    """The repository has no such blob."""


class BlobUploadInvalid(RegistryError):  # noqa: N818 - named after the OCI code
    """What was sent to an upload cannot be taken."""


class BlobUploadUnknown(RegistryError):  # noqa: N818 - named after the OCI code
    """There is no such upload for this repository and user; it ended, expired or never was."""


class UploadBusy(RegistryError):  # noqa: N818 - named after the OCI code
    """Another request is writing to this upload at this moment.

    Attributes:
        offset: Bytes received so far; a client asks again and resumes from there.
    """

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class RangeInvalid(RegistryError):  # noqa: N818 - named after the OCI code
    """A chunk does not begin where the upload ends.

    Attributes:
        offset: Bytes received so far: where the next chunk has to begin.
    """

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(message, detail={"offset": offset})
        self.offset = offset


class DigestInvalid(RegistryError):  # noqa: N818 - named after the OCI code
    """Not a digest, or not the digest of the content."""


class SizeInvalid(RegistryError):  # noqa: N818 - named after the OCI code
    """Fewer or more bytes came than were declared."""


class ManifestBlobUnknown(RegistryError):  # noqa: N818 - named after the OCI code
    """A manifest refers to content that the repository does not have; detail lists the digests."""


class ManifestInvalid(RegistryError):  # noqa: N818 - named after the OCI code
    """A manifest that cannot be understood, or that can be understood in two ways."""


class ManifestTooLarge(RegistryError):  # noqa: N818 - named after the OCI code
    """A manifest above the limit."""


class ManifestUnknown(RegistryError):  # noqa: N818 - named after the OCI code
    """The repository has no such manifest or tag."""


class NameInvalid(RegistryError):  # noqa: N818 - named after the OCI code
    """Not a repository name."""


class NameUnknown(RegistryError):  # noqa: N818 - named after the OCI code
    """There is no such repository."""


class TagInvalid(RegistryError):  # noqa: N818 - named after the OCI code
    """Not a tag."""


class PaginationInvalid(RegistryError):  # noqa: N818 - named after the OCI code
    """The size of a page is not a number that is allowed."""


class Unsupported(RegistryError):  # noqa: N818 - named after the OCI code
    """Asked for something that is not done here, or not now."""


class Denied(RegistryError):  # noqa: N818 - named after the OCI code
    """Known, but not allowed."""


class ReadOnly(RegistryError):  # noqa: N818 - named after the setting
    """A change, while the registry takes none."""


class QuotaExceeded(RegistryError):  # noqa: N818 - named after the setting
    """What is pushed does not fit into the quota.

    Attributes:
        used: Bytes that are stored.
        added: Bytes that would have been stored in addition, at least.
        limit: The quota, in bytes.
        free_soon: Bytes that garbage collection can give back; None when not looked up.
    """

    def __init__(self, *, used: int, added: int, limit: int, free_soon: int | None = None) -> None:
        message = (
            f"the registry's quota does not take this: {used} of {limit} bytes are used, and this "
            f"adds {added} or more; delete images, or ask whoever runs it for a larger quota"
        )
        if free_soon is not None:
            message += (
                f". Garbage collection can free {free_soon} bytes that nothing uses, now or "
                "once the times for which they are kept are over"
            )
        detail: dict[str, Detail] = {"used": used, "added": added, "limit": limit}
        if free_soon is not None:
            detail["reclaimable"] = free_soon
        super().__init__(message, detail=detail)
        self.used = used
        self.added = added
        self.limit = limit
        self.free_soon = free_soon


class Unauthorized(RegistryError):  # noqa: N818 - named after the OCI code
    """Not, or badly, authenticated."""


class TooManyRequests(RegistryError):  # noqa: N818 - named after the OCI code
    """More than is taken at once."""


class StorageUnavailable(RegistryError):  # noqa: N818 - named after what a client is told
    """The object store does not answer, or not as it should: try again later."""


class StorageFull(RegistryError):  # noqa: N818 - named after the OCI code
    """The disk is full: what was durable before stays, this request was not done."""


class Unavailable(RegistryError):  # noqa: N818 - named after the OCI code
    """What the registry stands on is away for now; whether anything was done is unknown."""
