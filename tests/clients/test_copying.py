# SPDX-License-Identifier: Apache-2.0
"""Clients that copy images: from a layout to the registry, and back into another layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.layout import digest_in, make_image, make_index, missing_in


def crane(place: Any, source: Path, reference: str, target: Path) -> None:
    place.run("crane", "push", source, reference)
    place.run("crane", "validate", "--remote", reference)
    place.run("crane", "pull", "--format", "oci", reference, target)


def regctl(place: Any, source: Path, reference: str, target: Path) -> None:
    place.run("regctl", "image", "copy", f"ocidir://{source}:v1", reference)
    assert place.run("regctl", "tag", "ls", reference.rpartition(":")[0]) == "v1\n"
    place.run("regctl", "image", "copy", reference, f"ocidir://{target}:v1")


def skopeo(place: Any, source: Path, reference: str, target: Path) -> None:
    place.run("skopeo", "copy", "--all", f"oci:{source}:v1", f"docker://{reference}")
    place.run("skopeo", "copy", "--all", f"docker://{reference}", f"oci:{target}:v1")


def oras(place: Any, source: Path, reference: str, target: Path) -> None:
    place.run("oras", "cp", "--from-oci-layout", f"{source}:v1", reference)
    place.run("oras", "cp", "--to-oci-layout", reference, f"{target}:v1")


DELETE: dict[str, Callable[[str, str], tuple[str, ...]]] = {
    "crane": lambda repo, digest: ("crane", "delete", f"{repo}@{digest}"),
    "regctl": lambda repo, digest: ("regctl", "manifest", "delete", f"{repo}@{digest}"),
    "skopeo": lambda repo, digest: ("skopeo", "delete", f"docker://{repo}@{digest}"),
    "oras": lambda repo, digest: ("oras", "manifest", "delete", "--force", f"{repo}@{digest}"),
}


@pytest.mark.parametrize("place", ["password", "token"], indirect=True)
@pytest.mark.parametrize("make", [make_image, make_index])
@pytest.mark.parametrize("client", [crane, regctl, skopeo, oras])
def test_an_image_goes_there_and_back_and_is_deleted(
    place: Any, client: Callable[..., None], make: Callable[[Path, str], str]
) -> None:
    source, target = place.folder / "source", place.folder / "target"
    digest = make(source, "hello")
    repository = f"{place.host}/team/hello"
    client(place, source, f"{repository}:v1", target)
    assert place.digest("team/hello", "v1") == digest
    assert digest_in(target) == digest
    assert missing_in(target) == []
    place.run(*DELETE[client.__name__](repository, digest))
    assert place.digest("team/hello", digest) is None
    assert place.digest("team/hello", "v1") is None
