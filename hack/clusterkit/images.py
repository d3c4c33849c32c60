# SPDX-License-Identifier: Apache-2.0
"""The project's two images, built without network from wheels fetched by their hashes."""

import hashlib
import os
import shutil
import sys
import tomllib
from pathlib import Path

from clusterkit.command import output, run, say
from clusterkit.kind import Kind
from clusterkit.recipe import run_recipe

TARGETS = ("registry", "operator")
PYTHON = "3.13"  # the base image's


def version(repository: Path) -> str:
    """Return the project's version."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def base_tag(recipe: Path) -> str:
    """Return the name of the base image that the recipe makes."""
    return f"cais-base:trixie-{hashlib.sha256(recipe.read_bytes()).hexdigest()[:12]}"


def base_image(kind: Kind) -> str:
    """Return the base image to build on, made here where none can be pulled.

    Raises:
        ClusterError: It cannot be made.
    """
    named = os.environ.get("BASE_IMAGE", "")
    if named or not kind.own_engine:
        return named  # empty: the Dockerfile's default
    recipe = kind.where.hack / "images" / "base.sh"
    tag = base_tag(recipe)
    if output(["docker", "image", "inspect", tag], environment=kind.environment) is None:
        say(f"making the base image {tag} (about a minute)")
        run_recipe(kind.where, recipe, tag, kind.environment)
    return tag


def fetch_wheels(repository: Path, cache: Path, name: str) -> None:
    """Put the wheels of `requirements/<name>.txt` into `build/wheels/<name>`.

    Args:
        repository: Whose requirements, and whose build folder.
        cache: Folder in which wheels are kept for the next build, by what is required.
        name: Of the requirements.

    Raises:
        ClusterError: One cannot be had; pip has said which.
    """
    requirements = repository / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes() + PYTHON.encode()).hexdigest()
    kept = cache / "wheels" / f"{name}-{digest[:16]}"
    if not kept.exists():
        _download(repository, requirements, kept)
    folder = repository / "build" / "wheels" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept, folder)


def _download(repository: Path, requirements: Path, kept: Path) -> None:
    say(f"fetching the wheels of requirements/{requirements.name}")
    partial = kept.with_name(f"{kept.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    options = ["--quiet", "--require-hashes", "--only-binary=:all:", "--python-version", PYTHON]
    ours = repository / ".venv" / "bin" / "python"
    python = str(ours) if ours.exists() else sys.executable
    command = [python, "-m", "pip", "download", *options, "-r", str(requirements)]
    run([*command, "--dest", str(partial)])
    partial.rename(kept)


def build(kind: Kind, *, push: str) -> None:
    """Build both images; with a prefix such as `registry.example.com/team` also push them.

    Raises:
        ClusterError: A build or a push failed; docker has said why.
    """
    repository = kind.where.hack.parent
    base = base_image(kind)
    for name in ("build", *TARGETS):
        fetch_wheels(repository, kind.where.cache, name)
    for target in TARGETS:
        name = f"cais-{target}:{version(repository)}"
        say(f"building {name}")
        options = ["--build-arg", f"BASE_IMAGE={base}"] if base else []
        names = ["-t", name, "-t", f"cais-{target}"]  # people type the name without a version
        command = ["docker", "build", "--target", target, *options, *names, str(repository)]
        log = repository / "build" / f"{target}.log"
        run(command, environment=kind.environment, log=log)
        print(name)
        if push:
            _push(kind, name, f"{push.rstrip('/')}/{name}")


def _push(kind: Kind, name: str, remote: str) -> None:
    run(["docker", "tag", name, remote], environment=kind.environment)
    run(["docker", "push", remote], environment=kind.environment)
    print(remote)
