# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import sys
import threading
from typing import Final

from cais_kubectl import arguments, credentials, docker, output, registries, way
from cais_kubectl.api import Object
from cais_kubectl.errors import OK, USAGE, Failure
from cais_kubectl.kubectl import program_of
from cais_kubectl.registry_http import Login
from cais_kubectl.session import Session

SUMMARY: Final = "let docker, podman or another client log in"
_MORE: Final = """\
Reads the user's password from its Secret and hands it to the client's own login, by its standard
input: it is shown nowhere, unless --print asks for it. Where the registry is reached from inside
the cluster only, kubectl forwards a port until Ctrl-C, and image names begin with localhost.
"""
_LOCAL: Final = 5000


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.description = _MORE
    arguments.name(parser, "default: the only one of the namespace")
    parser.add_argument(
        "--client",
        choices=tuple(docker.CLIENTS),
        help="default: the first of docker and podman that is there",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--print",
        dest="shown",
        action="store_const",
        const="login",
        help="print the login, PASSWORD INCLUDED, as docker's config.json has it",
    )
    shown.add_argument(
        "--print-ca", dest="shown", action="store_const", const="ca", help="print the CA to trust"
    )
    parser.add_argument(
        "--trust", action="store_true", help="put the CA where the client looks for it"
    )
    parser.add_argument("--trust-dir", metavar="FOLDER", help="of --trust; default: the client's")
    parser.add_argument(
        "--port",
        type=_port,
        default=_LOCAL,
        metavar="PORT",
        help=f"on localhost, when a port is forwarded (default: {_LOCAL})",
    )
    arguments.way(parser, user="admin")
    arguments.cluster(parser)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 1 to 65535")
    return int(text)


def run(options: argparse.Namespace, session: Session) -> int:
    """Log in, or print what is needed for it."""
    registry = registries.find(session.api, session.namespace, options.name)
    if options.shown == "ca":
        authority = way.authority_of(registry, session.api)
        if authority is None:
            raise Failure("this registry has no CA of its own: clients trust it as it is")
        sys.stdout.write(authority)
        return OK
    forwarded = way.forwards(registry, options.via)
    client = _client(options, forwarded=forwarded and options.shown is None)
    login = credentials.read(registry, options.login_as, session.api)
    address = f"localhost:{options.port}" if forwarded else way.address_of(registry)
    if options.shown == "login":
        print(docker.auths(address, login))
        return OK
    if options.trust:
        _trust(options, session, registry, None if forwarded else client)
    if not forwarded:
        _log_in(client, address, login)
        return OK
    with way.to(
        registry, session.api, session.kubectl, asked="port-forward", local=options.port
    ) as reached:
        _log_in(client, address, login)
        print(f"{address} leads to {reached.address} until Ctrl-C", file=sys.stderr)
        threading.Event().wait()
    return OK


def _log_in(client: str, address: str, login: Login) -> None:
    words = docker.log_in(client, address, login)
    print(output.plain(words) if words else f"{client} is logged in")
    print(f"image names begin with {address}/, as in {address}/tools/app:1", file=sys.stderr)


def _client(options: argparse.Namespace, *, forwarded: bool) -> str:
    client: str | None = options.client or program_of(("docker", "podman"))
    if client is None:
        if options.shown is not None:
            return "docker"
        known = ", ".join(docker.CLIENTS)
        raise Failure(
            f"there is neither docker nor podman on the PATH: name a client with --client"
            f" ({known}), or print the login with --print",
            USAGE,
        )
    if forwarded and not docker.CLIENTS[client].trusts_loopback:
        raise Failure(
            f"{client} does not trust a registry at localhost whose certificate is for another"
            " name, as docker does: use --client docker, or --via address where that leads there",
            USAGE,
        )
    return client


def _trust(
    options: argparse.Namespace, session: Session, registry: Object, client: str | None
) -> None:
    if client is None:
        print("docker takes any certificate at localhost: nothing to trust", file=sys.stderr)
        return
    authority = way.authority_of(registry, session.api)
    if authority is None:
        print("this registry has no CA of its own: nothing to trust", file=sys.stderr)
        return
    address = way.address_of(registry)
    file = docker.trust(client, address, authority, options.trust_dir)
    print(f"{client} trusts {address}: {file}", file=sys.stderr)
