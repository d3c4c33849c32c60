# SPDX-License-Identifier: Apache-2.0
"""Writes the folder of a Distribution registry with many small images."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

LAYERS, IMAGES_EACH = 9, 20
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def make_tree(root: Path, images: int) -> list[tuple[str, str]]:
    """Write what Distribution would have stored of so many images; their repositories, digests."""
    made = []
    for number in range(images):
        repository = f"team/app{number // IMAGES_EACH}"
        blobs = [_blob(root, repository, f"{number}.{part}") for part in range(LAYERS + 1)]
        config, *layers = [
            {"mediaType": "application/octet-stream", "digest": digest, "size": size}
            for digest, size in blobs
        ]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        digest = _store(root, json.dumps(manifest).encode())
        places = root / "repositories" / repository / "_manifests"
        _link(places / "revisions" / digest.replace(":", "/") / "link", digest)
        _link(places / "tags" / f"v{number}" / "current" / "link", digest)
        _link(places / "tags" / f"v{number}" / "index" / digest.replace(":", "/") / "link", digest)
        made.append((repository, digest))
    return made


def _blob(root: Path, repository: str, name: str) -> tuple[str, int]:
    content = (name.encode() + b"\n") * 64
    digest = _store(root, content)
    _link(
        root / "repositories" / repository / "_layers" / digest.replace(":", "/") / "link", digest
    )
    return digest, len(content)


def _store(root: Path, content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest()
    folder = root / "blobs" / "sha256" / name[:2] / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").write_bytes(content)
    return f"sha256:{name}"


def _link(path: Path, digest: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(digest)
