# SPDX-License-Identifier: Apache-2.0
"""The node image that kind starts: pulled where that works, else made here."""

import hashlib
from pathlib import Path

import programs
from clusterkit.command import output, run, say
from clusterkit.places import Places, client_environment
from clusterkit.recipe import run_recipe
from program_table import KUBERNETES, NODE, source_of

# kind 0.33.0's own default
PULLED = (
    "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
)


def made_tag(recipe: Path) -> str:
    """Return the name of the image made from the programs' versions and the recipe's files."""
    digest = hashlib.sha256()
    for name in NODE:
        digest.update(f"{name} {source_of(name).version}\n".encode())
    for file in sorted(path for path in recipe.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(recipe)}\n".encode() + file.read_bytes())
    return f"cais-node:{KUBERNETES}-{digest.hexdigest()[:12]}"


def can_pull() -> bool:
    """Tell whether the machine's engine has, or gets, the pinned image."""
    if output(["docker", "image", "inspect", PULLED]) is not None:
        return True
    say(f"pulling {PULLED.partition('@')[0]}")
    return output(["docker", "pull", "--quiet", PULLED]) is not None


def make(where: Places) -> str:
    """Make the image in our own engine unless it is there; return its name.

    Raises:
        ClusterError: A step of the recipe failed.
    """
    recipe = where.hack / "node"
    tag = made_tag(recipe)
    environment = client_environment(where, own_engine=True)
    if output(["docker", "image", "inspect", tag], environment=environment) is not None:
        return tag
    say(f"making the node image {tag} (about two minutes)")
    run(["go", "mod", "download", _kind_module()], environment=environment)
    modules = (output(["go", "env", "GOMODCACHE"]) or "").strip()
    settings = {
        "PROGRAMS": str(where.programs),
        "KIND_FILES": str(Path(modules, _kind_module(), "images", "base", "files")),
        "KUBERNETES": KUBERNETES,
    }
    run_recipe(where, recipe / "build.sh", tag, {**environment, **settings})
    _remove_older(tag, environment)
    return tag


def _remove_older(tag: str, environment: dict[str, str]) -> None:
    listing = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", tag.partition(":")[0]]
    older = set((output(listing, environment=environment) or "").split()) - {tag}
    if older:
        output(["docker", "rmi", *sorted(older)], environment=environment)


def _kind_module() -> str:
    source = source_of("kind")
    return f"{source.module}@{source.version}"


def ensure_programs(where: Places, names: tuple[str, ...]) -> None:
    """Build what is missing of these programs."""
    programs.ensure(names, where.cache)
