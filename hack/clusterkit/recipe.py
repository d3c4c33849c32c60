# SPDX-License-Identifier: Apache-2.0
"""Recipes: shell programs that make an image of a root file system."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from clusterkit.command import run
from clusterkit.places import Places


def run_recipe(where: Places, recipe: Path, tag: str, environment: Mapping[str, str]) -> None:
    """Run a recipe that makes an image; whatever it mounts or starts ends with it.

    Raises:
        ClusterError: It failed; it has said why.
    """
    temporary = where.cache / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    prefix = f"image-{recipe.stem}-"
    for left in temporary.glob(f"{prefix}*"):  # of a run that was killed; we hold the lock
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=temporary) as work:
        own_namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        settings = {"WORK": work, "DEBS": str(where.cache / "debs")}
        run([*own_namespaces, str(recipe), tag], environment={**environment, **settings})
