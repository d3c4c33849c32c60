# SPDX-License-Identifier: Apache-2.0
"""Makes real images as OCI image layouts (image-spec, image-layout.md): clients unpack them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.registry import OCI_IMAGE, OCI_INDEX


@dataclass(frozen=True)
class Kinds:
    """Media types of what an image is made of."""

    config: str
    layer: str
    image: str
    index: str


_OCI = Kinds(
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    OCI_IMAGE,
    OCI_INDEX,
)
DOCKER = Kinds(
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""Of Docker's schema 2, which OCI's came from."""


def make_image(
    folder: Path, name: str, *, layers: int = 2, size: int = 1 << 16, kinds: Kinds = _OCI
) -> str:
    """Write a layout with one image of some layers, tagged `v1`; returns its digest."""
    descriptor = _image(folder, name, "amd64", layers, size, kinds)
    return _finish(folder, descriptor)


def make_index(folder: Path, name: str, *, kinds: Kinds = _OCI) -> str:
    """Write a layout with an image for two platforms, tagged `v1`; returns the index's digest."""
    manifests = []
    for architecture in ("amd64", "arm64"):
        descriptor = _image(folder, f"{name}-{architecture}", architecture, 2, 1 << 12, kinds)
        manifests.append(descriptor | {"platform": {"os": "linux", "architecture": architecture}})
    document = {"schemaVersion": 2, "mediaType": kinds.index, "manifests": manifests}
    return _finish(folder, _add(folder, json.dumps(document).encode(), kinds.index))


def digest_in(folder: Path) -> str:
    """The digest of what a layout holds: the one thing, or the one that is tagged `v1`."""
    found = json.loads((folder / "index.json").read_text())["manifests"]
    name = "org.opencontainers.image.ref.name"
    tagged = [one for one in found if one.get("annotations", {}).get(name) == "v1"]
    (descriptor,) = tagged or found
    return str(descriptor["digest"])


def missing_in(folder: Path) -> list[str]:
    """Blobs of a layout whose content is not what their names say; empty for a good one."""
    return [
        path.name
        for path in (folder / "blobs" / "sha256").iterdir()
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.name
    ]


def _image(  # noqa: PLR0913, PLR0917 - what an image has
    folder: Path, name: str, architecture: str, layers: int, size: int, kinds: Kinds
) -> dict[str, Any]:
    plain = [_tar(f"{name}-{number}", size) for number in range(layers)]
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in plain],
        },
    }
    document = {
        "schemaVersion": 2,
        "mediaType": kinds.image,
        "config": _add(folder, json.dumps(config).encode(), kinds.config),
        "layers": [_add(folder, gzip.compress(layer, 1, mtime=0), kinds.layer) for layer in plain],
    }
    return _add(folder, json.dumps(document).encode(), kinds.image)


def _tar(name: str, size: int) -> bytes:
    content = hashlib.shake_256(name.encode()).digest(size)
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = size
        archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def _add(folder: Path, content: bytes, media_type: str) -> dict[str, Any]:
    encoded = hashlib.sha256(content).hexdigest()
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / encoded).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{encoded}", "size": len(content)}


def _finish(folder: Path, descriptor: dict[str, Any]) -> str:
    entry = descriptor | {"annotations": {"org.opencontainers.image.ref.name": "v1"}}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(descriptor["digest"])
