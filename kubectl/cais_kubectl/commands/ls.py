# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from contextlib import closing
from typing import Final

from cais_kubectl import arguments, credentials, output, registries, way
from cais_kubectl.errors import OK, USAGE, Failure
from cais_kubectl.registry_http import Registry
from cais_kubectl.session import Session

SUMMARY: Final = "repositories of a registry, or tags of one of them"
_MORE: Final = """\
Asks the registry itself, as one of its users: their password is read from its Secret. Where the
registry is reached from inside the cluster only, kubectl forwards a port for the moment.
"""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.description = _MORE
    arguments.name(parser, "default: the only one of the namespace")
    parser.add_argument(
        "repository", nargs="?", metavar="REPOSITORY", help="list its tags, such as tools/app"
    )
    parser.add_argument("--digests", action="store_true", help="with the digest of each tag")
    arguments.way(parser, user="admin")
    arguments.form(parser)
    arguments.cluster(parser)


def run(options: argparse.Namespace, session: Session) -> int:
    """Print names, one on each line."""
    if options.digests and options.repository is None:
        raise Failure("--digests is about the tags of a REPOSITORY: name one", USAGE)
    found = registries.find(session.api, session.namespace, options.name)
    login = credentials.read(found, options.login_as, session.api)
    with (
        way.to(found, session.api, session.kubectl, asked=options.via) as reached,
        closing(Registry(reached, login)) as registry,
    ):
        if options.repository is None:
            rows = [{"repository": one} for one in registry.repositories()]
        else:
            rows = _tags(registry, options.repository, with_digests=options.digests)
    if options.output != "table":
        print(output.structured(rows, options.output))
    elif options.digests:
        print(output.table(("TAG", "DIGEST"), ((one["tag"], one["digest"]) for one in rows)))
    else:
        for row in rows:
            print(output.plain("".join(row.values())))
    return OK


def _tags(registry: Registry, repository: str, *, with_digests: bool) -> list[dict[str, str]]:
    tags = registry.tags(repository)
    if not with_digests:
        return [{"tag": tag} for tag in tags]
    return [{"tag": tag, "digest": registry.digest(repository, tag)} for tag in tags]
