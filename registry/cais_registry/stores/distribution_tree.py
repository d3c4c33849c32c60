# SPDX-License-Identifier: Apache-2.0
"""Reads the folder of a CNCF Distribution registry (`registry:2`, `registry:3`); changes nothing.

docker/registry/v2/
├── blobs/<algorithm>/<ab>/<abcdef...>/data
└── repositories/<name>/_manifests/
    ├── revisions/<algorithm>/<abcdef...>/link      a manifest of the repository
    └── tags/<tag>/current/link                     what the tag points to

A link is a file that holds a digest. Layers have links of their own, which are not needed: what a
repository needs is what its manifests refer to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cais_registry.model.digest import Digest
from cais_registry.model.errors import RegistryError
from cais_registry.model.names import RepoName, Tag

TOP: Final = Path("docker", "registry", "v2")
_MOST_LINK: Final = 256


class NoTree(Exception):  # noqa: N818 - reads as the condition it is
    """A folder is not that of a Distribution registry; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRepo:
    """What one repository holds.

    Attributes:
        name: As the tree has it; perhaps one that the specification does not allow.
        manifests: Digests of its manifests, tagged or not.
        tags: What each tag points to.
        broken: Links and names that cannot be read, in words.
    """

    name: str
    manifests: tuple[Digest, ...]
    tags: dict[Tag, Digest]
    broken: tuple[str, ...]


class Tree:
    """The folder that a registry calls its root directory."""

    def __init__(self, root: Path) -> None:
        """Look whether it is one.

        Raises:
            NoTree: If not.
        """
        self._top = root / TOP
        for name in ("blobs", "repositories"):
            if not (self._top / name).is_dir():
                raise NoTree(f"{root} is not the folder of a registry: there is no {TOP / name}")

    def repositories(self) -> Iterator[TreeRepo]:
        """All repositories, by name."""
        top = self._top / "repositories"
        for folder, names, _ in os.walk(top):
            names[:] = sorted(name for name in names if not name.startswith("_"))
            if (Path(folder) / "_manifests").is_dir():
                yield _repo(str(Path(folder).relative_to(top)), Path(folder) / "_manifests")

    def blob(self, digest: Digest) -> Path:
        """Where the bytes of a digest are, or would be."""
        folder = self._top / "blobs" / digest.algorithm / digest.encoded[:2] / digest.encoded
        return folder / "data"


def _repo(name: str, folder: Path) -> TreeRepo:
    broken: list[str] = []
    manifests = [d for d in map(_link, _links(folder / "revisions", "*/*/link")) if d is not None]
    tags: dict[Tag, Digest] = {}
    for path in _links(folder / "tags", "*/current/link"):
        tag, digest = path.parent.parent.name, _link(path)
        try:
            parsed = Tag.parse(tag)
            RepoName.parse(name)
        except RegistryError as error:
            broken.append(error.message)
            continue
        if digest is None:
            broken.append(f"tag {tag}: its link {path} holds no digest")
        else:
            tags[parsed] = digest
    return TreeRepo(
        name=name,
        manifests=tuple(sorted({*manifests, *tags.values()})),
        tags=tags,
        broken=tuple(broken),
    )


def _links(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


def _link(path: Path) -> Digest | None:
    """The digest in a link; an empty one is what a deletion leaves behind."""
    try:
        with path.open("rb") as file:
            return Digest.parse(file.read(_MOST_LINK).decode("ascii").strip())
    except (OSError, ValueError, RegistryError):
        return None
