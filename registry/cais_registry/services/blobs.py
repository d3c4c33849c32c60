# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cais_registry.model.digest import Digest
from cais_registry.model.names import RepoName


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobInfo:
    """A blob that a repository has.

    Attributes:
        digest: Its content address.
        size: In bytes.
    """

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBlob:
    """A blob opened for reading; garbage collection cannot take the bytes away while it is open.

    Attributes:
        digest: Its content address.
        size: In bytes.
        fd: An open file descriptor, owned by the caller, who closes it (`os.close`).
    """

    digest: Digest
    size: int
    fd: int


class Blobs:
    """Finished blobs, always seen through a repository: a blob of another one is unknown."""

    async def stat(self, repo: RepoName, digest: Digest, *, promise: bool) -> BlobInfo:
        """Tell whether a repository has a blob (distribution-spec end-2).

        Args:
            repo: The repository.
            digest: The blob.
            promise: True when the caller may push: "it exists" then holds for `push_lease`.

        Raises:
            BlobUnknown: If not, or if its bytes are damaged (a new push repairs it).
        """
        raise NotImplementedError

    async def open(self, repo: RepoName, digest: Digest) -> OpenBlob:
        """Open a blob for reading (end-2).

        Raises:
            BlobUnknown: If the repository does not have it.
        """
        raise NotImplementedError

    async def delete(self, repo: RepoName, digest: Digest) -> None:
        """Take a blob out of a repository (end-10); it can come back for `undelete_window`.

        Raises:
            BlobUnknown: If the repository does not have it.
            Unsupported: While a manifest of the repository uses it.
        """
        raise NotImplementedError

    async def mount(
        self,
        repo: RepoName,
        digest: Digest,
        *,
        source: RepoName | None,
        readable: Callable[[RepoName], bool],
    ) -> bool:
        """Take a blob over from another repository without its bytes being sent (end-11).

        Args:
            repo: The repository that gets it.
            digest: The blob.
            source: The repository that has it; None looks in all that are readable.
            readable: Says whether the caller may pull from a repository.

        Returns:
            True if `repo` has the blob now (with a lease); False if the client has to send it.
        """
        raise NotImplementedError
