# SPDX-License-Identifier: Apache-2.0
"""What the rest of the operator may ask of the Kubernetes API; tests have a twin of dicts."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Object = dict[str, Any]
Listing = tuple[list[Object], str]
"""Objects, and the resourceVersion of their list."""

Page = tuple[Iterator[Object], str]
"""Some of a list, each read as it is asked for, once; and the resourceVersion of the list."""

PAGE = 100  # objects of one LIST request; the text of a page is in memory as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """One line of a watch.

    Attributes:
        type: ADDED, MODIFIED, DELETED or BOOKMARK.
        object: The object; of a bookmark only its resourceVersion.
    """

    type: str
    object: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which objects of a kind.

    Attributes:
        kind: As in `kind`.
        namespace: None means all.
        labels: A label selector, or empty.
        fields: A field selector, or empty.
        metadata_only: Whether only metadata is sent; contents of Secrets stay where they are.
    """

    kind: str
    namespace: str | None = None
    labels: str = ""
    fields: str = ""
    metadata_only: bool = False


class Cluster(Protocol):
    """The Kubernetes API for plain objects.

    Every method raises `NotFound`, `Conflict`, `Rejected` or `ApiUnavailable` of `errors`, and
    nothing else, when the API server or the way to it says no.
    """

    async def get(self, kind: str, namespace: str, name: str) -> Object:
        """Return the object."""
        ...

    async def list(self, selection: Selection) -> Listing:
        """Return all that is selected, read in pages, and the list's resourceVersion."""
        ...

    def pages(self, selection: Selection, size: int = PAGE) -> AsyncIterator[Page]:
        """Yield all that is selected, a page at a time, each with the list's resourceVersion.

        An object is read when the page is asked for it: who wants little in memory keeps none.
        """
        ...

    async def create(self, manifest: Object) -> Object:
        """Create; `Conflict` when an object of that name exists."""
        ...

    async def replace(self, manifest: Object) -> Object:
        """Replace the object of exactly the given metadata.resourceVersion, else `Conflict`."""
        ...

    async def apply(self, manifest: Object) -> Object:
        """Server-side apply as `cais-operator`, forced and strict."""
        ...

    async def apply_status(self, manifest: Object) -> Object:
        """Server-side apply of the status as `cais-operator-status`."""
        ...

    async def patch(
        self, kind: str, namespace: str, name: str, change: Mapping[str, Any]
    ) -> Object:
        """JSON merge patch."""
        ...

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str) -> None:
        """Delete the object of exactly that uid, else `Conflict`."""
        ...

    async def document(self, path: str, *, most: int) -> bytes:
        """Return what the API server itself says under a path that is no resource's.

        Raises:
            ApiUnavailable: Also when it is longer than `most` bytes.
        """
        ...

    def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[WatchEvent]:
        """Yield what changes from there on until the API server ends it.

        Raises:
            Expired: When that version is too old, before or while events come.
        """
        ...


class Expired(Exception):  # noqa: N818 - an answer: list again
    """The API server no longer knows the resourceVersion to watch from (410)."""
