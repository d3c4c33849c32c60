# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import RegistryError
from cais_registry.model.limits import Limits
from cais_registry.model.manifest import DOCKER_IMAGE, DOCKER_LIST, OCI_IMAGE, OCI_INDEX
from cais_registry.model.names import RepoName, Tag
from cais_registry.remote.blob_body import pieces
from cais_registry.remote.client import Client
from cais_registry.remote.pages import MOST_PAGES, pages
from cais_registry.remote.transport import HTTPError, Response
from cais_registry.services.sources import (
    SourceBlob,
    SourceManifest,
    SourceMissing,
    SourceRefused,
    SourceRepo,
)

_ACCEPT: Final = f"{OCI_INDEX}, {OCI_IMAGE}, {DOCKER_LIST}, {DOCKER_IMAGE}, */*;q=0.1"
_CATALOG: Final = "registry:catalog:*"
_PAGE: Final = 1000
_MOST_LISTED: Final = 1_000_000


class RemoteRegistry:
    """A registry that runs, as a `Source`."""

    at_once = 8

    def __init__(
        self, client: Client, names: Sequence[RepoName] = (), *, most_pages: int = MOST_PAGES
    ) -> None:
        """Prepare.

        Args:
            client: Asks it.
            names: Repositories to import; none means all that its catalog lists.
            most_pages: Longest listing that is believed.
        """
        self._client = client
        self._names = names
        self._most_pages = most_pages
        self._lists_referrers = True

    async def repositories(self) -> AsyncGenerator[SourceRepo, None]:
        """See `Source`."""
        async for name in self._repository_names():
            try:
                repo = RepoName.parse(name)
            except RegistryError as error:
                yield SourceRepo(name=name, manifests=(), tags={}, broken=(error.message,))
                continue
            self._lists_referrers = True
            yield await self._repository(repo)

    async def _repository_names(self) -> AsyncGenerator[str, None]:
        if self._names:
            for repo in self._names:
                yield repo.value
            return
        try:
            async for name in self._listed("/v2/_catalog", "repositories", _CATALOG):
                yield name
        except SourceRefused as error:
            raise SourceRefused(
                f"the catalog of {self._client.site.host} cannot be read, {error}:"
                " name what to import with --repository"
            ) from error

    async def _repository(self, repo: RepoName) -> SourceRepo:
        tags: dict[Tag, Digest] = {}
        broken: list[str] = []
        places = asyncio.Semaphore(self.at_once)

        async def resolve(text: str) -> None:
            async with places:
                try:
                    tag = Tag.parse(text)
                    tags[tag] = await asyncio.to_thread(self._points, repo, tag)
                except RegistryError as error:
                    broken.append(error.message)
                except SourceRefused as error:
                    broken.append(f"tag {text[:140]}: {error}")

        try:
            listed = self._listed(_path(repo, "tags/list"), "tags", _pull(repo))
            await asyncio.gather(*[resolve(tag) async for tag in listed])
        except SourceMissing as error:
            if self._names:
                broken.append(f"there is no such repository: {error}")
        except SourceRefused as error:
            broken.append(f"its tags cannot be listed: {error}")
        manifests = tuple(sorted(set(tags.values())))
        return SourceRepo(
            name=repo.value, manifests=manifests, tags=tags, broken=tuple(sorted(broken))
        )

    async def _listed(self, path: str, key: str, scope: str) -> AsyncGenerator[str, None]:
        """Names of a listing, each once; a page without a new one is the last that is read."""
        known: set[str] = set()
        async for page in pages(self._client, f"{path}?n={_PAGE}", scope, most=self._most_pages):
            names = page.get(key) or []
            if not isinstance(names, list):
                raise SourceRefused(f"{path} is answered without a list of {key}")
            new = [str(name)[:1000] for name in names if name not in known]
            if names and not new:
                raise SourceRefused(f"the pages of {path} have no end: nothing new comes")
            known.update(new)
            _check_length(path, len(known))
            for name in new:
                yield name

    def _points(self, repo: RepoName, tag: Tag) -> Digest:
        """What a tag points to; a registry that does not say it is asked for the manifest."""
        path, headers = _path(repo, f"manifests/{tag}"), {"Accept": _ACCEPT}
        with self._client.get(path, _pull(repo), headers, method="HEAD") as response:
            told = response.headers.get("Docker-Content-Digest")
        try:
            if told is not None:
                return Digest.parse(told)
        except RegistryError as error:
            raise SourceRefused(error.message) from error
        with self._client.get(path, _pull(repo), headers) as response:
            return Digest.of(_content(response))

    async def manifest(self, repo: RepoName, digest: Digest) -> SourceManifest | None:
        """See `Source`."""
        try:
            return await asyncio.to_thread(self._manifest, repo, digest)
        except SourceMissing:
            return None

    def _manifest(self, repo: RepoName, digest: Digest) -> SourceManifest:
        path = _path(repo, f"manifests/{digest}")
        with self._client.get(path, _pull(repo), {"Accept": _ACCEPT}) as response:
            return SourceManifest(
                content=_content(response), media_type=response.headers.get("Content-Type")
            )

    async def attached(self, repo: RepoName, digest: Digest) -> tuple[Digest, ...]:
        """See `Source`; a registry without the referrers API has them as tags."""
        if not self._lists_referrers:
            return ()
        found: list[Digest] = []
        path = _path(repo, f"referrers/{digest}")
        try:
            async for page in pages(self._client, path, _pull(repo), most=self._most_pages):
                found += _digests(page)
                _check_length(path, len(found))
        except SourceMissing:
            self._lists_referrers = False
        return tuple(found)

    async def has_blob(self, repo: RepoName, digest: Digest) -> bool:
        """See `Source`."""
        path = _path(repo, f"blobs/{digest}")
        try:
            response = await asyncio.to_thread(self._client.get, path, _pull(repo), method="HEAD")
        except SourceRefused:
            return False
        response.close()
        return True

    async def blob(self, repo: RepoName, digest: Digest) -> SourceBlob:
        """See `Source`."""
        path = _path(repo, f"blobs/{digest}")
        response = await asyncio.to_thread(self._client.get, path, _pull(repo))
        length = response.headers.get("Content-Length", "")
        return SourceBlob(
            size=int(length) if length.isascii() and length.isdigit() else None,
            pieces=pieces(self._client, path, _pull(repo), response),
            close=response.close,
        )


def _path(repo: RepoName, rest: str) -> str:
    return f"/v2/{repo}/{rest}"


def _pull(repo: RepoName) -> str:
    return f"repository:{repo}:pull"


def _check_length(path: str, length: int) -> None:
    if length > _MOST_LISTED:
        raise SourceRefused(f"{path} lists more than {_MOST_LISTED} things")


def _content(response: Response) -> bytes:
    """One byte too much shows a manifest that is too large: its digest will differ."""
    try:
        return response.read(Limits().manifest_bytes + 1)
    except HTTPError as error:
        raise SourceRefused(f"it broke off: {error}") from error


def _digests(page: dict[str, object]) -> list[Digest]:
    manifests = page.get("manifests")
    if not isinstance(manifests, list):
        raise SourceRefused("referrers are answered without a list of manifests")
    try:
        return [Digest.parse(str(descriptor["digest"])) for descriptor in manifests]
    except (RegistryError, LookupError, TypeError) as error:
        raise SourceRefused("referrers are answered with something else than manifests") from error
