# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cais_registry.cli.errors import CommandError
from cais_registry.cli.progress import shown, terms
from cais_registry.cli.usage import human
from cais_registry.config.errors import ConfigError
from cais_registry.model.errors import StorageFull
from cais_registry.model.imported import Imported
from cais_registry.services.core import open_core
from cais_registry.services.importer import Importer
from cais_registry.services.sources import Source, SourceLost, SourceRefused
from cais_registry.services.tree_source import TreeSource
from cais_registry.stores import layout
from cais_registry.stores.distribution_tree import NoTree, Tree
from cais_registry.stores.files import Files


def run(options: argparse.Namespace) -> int:
    """Import, report, and tell by the exit code whether all was taken over.

    Raises:
        ConfigError: If source or target cannot be used; nothing was changed.
        CommandError: If the disk is full, or the source was lost on the way.
    """
    data = Path(options.data).absolute()
    source = _source(options)
    try:
        lock = layout.lock(data)
    except layout.UnusableData as error:
        raise ConfigError(str(error)) from error
    done = Imported()
    try:
        asyncio.run(_import(source, data, done))
    except layout.UnusableData as error:
        raise ConfigError(str(error)) from error
    except StorageFull as error:
        raise CommandError(
            f"{error}; {describe(done)}. Make room and start again: it goes on where it was"
        ) from error
    except (SourceLost, SourceRefused) as error:
        if done == Imported():
            raise ConfigError(str(error)) from error
        raise CommandError(
            f"{error}; {describe(done)}. Start again later: it goes on where it was"
        ) from error
    finally:
        os.close(lock)
    print(json.dumps(terms(done)) if options.output == "json" else _lines(done))
    return 1 if done.failed else 0


def _source(options: argparse.Namespace) -> Source:
    if options.source.startswith(("http://", "https://")):
        from cais_registry.cli.remote_source import remote  # noqa: PLC0415 - a folder needs none

        return remote(options)
    network = (options.repository, options.credentials_file, options.auth_host, options.ca_file)
    if any(network):
        raise ConfigError(
            "--repository, --credentials-file, --auth-host and --ca-file go with --from URL only"
        )
    try:
        return TreeSource(Tree(Path(options.source).absolute()))
    except NoTree as error:
        raise ConfigError(str(error)) from error


def describe(done: Imported) -> str:
    """The result in one line."""
    return (
        f"{done.repositories} repositories: {done.manifests} manifests, {done.tags} tags,"
        f" {done.blobs_linked} blobs linked and {done.blobs_copied} copied ({human(done.bytes)}),"
        f" {done.present} were here, {done.failed} failed"
    )


def _progress(done: Imported) -> str:
    return f"{describe(done)}, {human(done.received)} read"


def _lines(done: Imported) -> str:
    more = done.failed - len(done.problems)
    rest = [f"... and {more} more"] if more else []
    return "\n".join([*done.problems, *rest, describe(done)])


async def _import(source: Source, data: Path, done: Imported) -> None:
    pool = ThreadPoolExecutor(source.at_once, "cais-import")
    asyncio.get_running_loop().set_default_executor(pool)
    core = await open_core(data)
    importer = Importer(core.blobs, core.uploads, core.manifests, Files(data).adopt)
    try:
        async with shown(lambda: _progress(done)):
            await importer.run(source, done)
    finally:
        await core.close()
