# SPDX-License-Identifier: Apache-2.0
"""The default storage class and what serves it, as the manifests to apply."""

import hashlib
import json
from pathlib import Path

PROVISIONER = "cais.dev/loop-volumes"
SCRIPTS = ("provisioner.py", "kube.py", "node.py", "sizes.py")


def manifests(folder: Path, image: str) -> str:
    """Return the manifests of the provisioner whose scripts are in `folder`.

    Args:
        folder: The scripts and the manifests.
        image: An image with Python and util-linux that the nodes have or can pull.
    """
    scripts = {name: (folder / name).read_text() for name in SCRIPTS}
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "loop-volumes", "namespace": "kube-system"},
        "data": scripts,
    }
    digest = hashlib.sha256(json.dumps(scripts).encode()).hexdigest()[:12]
    text = (folder / "provisioner.yaml").read_text()
    text = text.replace("@IMAGE@", image).replace("@DIGEST@", digest)
    return "---\n".join(
        [json.dumps(config_map) + "\n", (folder / "storage-class.yaml").read_text(), text]
    )
