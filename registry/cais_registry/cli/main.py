# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Final

from cais_registry.cli.errors import CommandError
from cais_registry.config.errors import ConfigError

_ABOUT = """\
A container registry.

  cais-registry serve                     a registry in ./cais-data, at http://127.0.0.1:5000
  docker tag my-image localhost:5000/my-image
  docker push localhost:5000/my-image
"""

_SERVE = """\
Serve a registry until SIGTERM. Flags override the configuration file.

Alone it keeps its data in ./cais-data, listens on 127.0.0.1:5000 with plain HTTP, and is open to
anyone who reaches it.

  cais-registry passwd users alice        make an account; asks for the password
  cais-registry serve --htpasswd users    only accounts in the file may do anything, they all

Configuration file (YAML or JSON; every part may be left out):

  data: /data
  listen: 0.0.0.0:5000
  tls: {certFile: tls.crt, keyFile: tls.key}          the key in PKCS#8; contents are watched
  auth: {htpasswdFile: users, realm: cais}            contents are watched
  tokens: {keyFile: keys.pem, service: cais, lifetime: 5m,      read anew; /token gives them out
           realms: {"r.example.org": "https://r.example.org/token"}}
  access:                                             read anew when it changes
    anonymous: [pull]                                 what may be done without logging in
    rules:                                            deny by default
    - {users: [alice], repositories: ["**"], actions: [pull, push, delete, admin]}
    - {users: ["*"], repositories: ["apps/**"], actions: [pull]}
  garbageCollection: {pushLease: 24h, undeleteWindow: 24h}      read anew when it changes
  retention:                                          read anew; the first rule that matches counts
  - {repositories: ["apps/**"], keepTags: ["v*"], keepLast: 20, keepNewerThan: 720h,
     keepPulledWithin: 720h, untaggedAfter: 168h, dryRun: false}
  immutableTags: [{repositories: ["**"], tags: ["v*"]}]         read anew; such tags stay
  quota: 16106127360                                  read anew; most bytes that may be stored
  readOnly: false                                     read anew; true refuses pushes and deletions
  log: {format: auto, audit: true, auditPulls: false}           auto, json or text
  database: {urlFile: url}                            PostgreSQL in the place of SQLite
  storage: {s3: {bucket: images, endpoint: "https://s3.example.org",       in the place of files
                 accessKeyFile: access-key, secretKeyFile: secret-key}}
  limits: {manifestBytes: 4194304, manifestReferences: 10000, tagsPerPush: 100,
           sparseManifests: false, openUploads: 10000, openUploadsPerUser: 1000,
           slowestBytesPerSecond: 240}
  timeouts: {idle: 30s, drain: 20s, stalled: 60s, upload: 24h}

docs/configuration.md explains every key.
"""

_GC = """\
Tell a running server to collect garbage. Pushes and pulls go on meanwhile.

  cais-registry gc --server http://127.0.0.1:5000 --wait
  cais-registry gc --server http://127.0.0.1:5000 --dry-run      what retention would delete and why

With -o json each thing that would go is one line of JSON; the last line is the run.
"""

_USAGE = """\
Show what a running server holds: repositories, tags, bytes (of the quota, if there is one), what
garbage collection can give back, and the disk.

  cais-registry usage --server http://127.0.0.1:5000
  cais-registry usage --server https://registry.example:5000 --credentials-file me -o json
"""

_FSCK = """\
Compare what the database says with the bytes that are there, both ways. Nothing is changed unless
--repair is given. Exit code 0: all is well; 1: something is left to do; 2: it could not be checked.

  cais-registry fsck --data cais-data                          of a server that is stopped
  cais-registry fsck --config server.yaml                      of one over a bucket or PostgreSQL
  cais-registry fsck --server http://127.0.0.1:5000 --repair   of one that runs, beside pushes

--repair removes what belongs to nothing, writes copies of manifests anew, and moves damaged bytes
of blobs to damaged/ in the data folder or the bucket: then the blob is unknown, and the next push
of it heals every image that uses it.

  cais-registry fsck --data cais-data --rebuild                a lost database, server stopped
  cais-registry fsck --config server.yaml --rebuild            the same over a bucket or PostgreSQL

--rebuild makes a database that is missing or damaged anew: from the newest of snapshots/ that can
be read, and what is stored beyond that. Every manifest and blob comes back, and the tags of the
snapshot, which is an hour old at most. What was deleted after the snapshot may come back, too. The
damaged database is moved to damaged/. PostgreSQL: restore a backup or make an empty database first,
and stop all servers; what is missing is added. Cut off, it can be started again.
"""

_UNDELETE = """\
Bring back what was deleted: a tag, or a manifest with the tags that went with it. That works for
the undelete window (garbageCollection.undeleteWindow, 24 hours unless set) and until the first
garbage collection after it.

  cais-registry undelete --server URL team/app                    show what can come back
  cais-registry undelete --server URL team/app:v1                 a tag
  cais-registry undelete --server URL team/app@sha256:4e0f...     a manifest and its tags

A tag that points at something else by now is left as it is.
"""

_IMPORT = """\
Take over another registry: every repository with its manifests, tags and blobs, into the data
folder of a server that is stopped. The other registry is only read. Each digest is verified. What
is here already is kept, so an import that was cut off goes on when it is started again.

  cais-registry import --from /var/lib/registry --data cais-data

The folder of a CNCF Distribution registry (registry:2, registry:3, docker-registry). Blobs are hard
links where both folders are on one file system, copies elsewhere.

  cais-registry import --from https://old.example --credentials-file me --data cais-data
  cais-registry import --from https://old.example --repository team/app --data cais-data

Any registry that runs, with all that its catalog lists, or the repositories that are named. What
has no tag comes along if an index lists it, or if it refers to something that comes. A token server
on another host is sent the password only if --auth-host names it.

Exit code 0: everything was taken over; 1: not all, the report says what; 2: nothing was done.
"""

_ACCOUNT = """\
Make an account, or change its password, in a file for `serve --htpasswd FILE`.
Asks twice; reads one line when standard input is not a terminal. A running server sees it in a
second. With --keep-old the password before it works, too, until the next change: give clients the
new one meanwhile.
"""


_MODULES: Final = {"import": "importing"}  # a word that Python keeps for itself


def main(arguments: Sequence[str]) -> int:
    """Run one command; see the package."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    module = _MODULES.get(options.command, options.command)
    command = import_module(f"cais_registry.cli.{module}")
    try:
        code: int = command.run(options)
    except ConfigError as error:
        return _complain(error, 2)
    except CommandError as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return 130
    return code


def _complain(error: Exception, code: int) -> int:
    print(f"cais-registry: {error}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cais-registry",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"cais {metadata.version('cais')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_serve(_add(commands, "serve", "serve a registry", _SERVE))
    gc = _add(commands, "gc", "tell a running server to collect garbage", _GC)
    _add_client(gc)
    gc.add_argument(
        "--dry-run", action="store_true", help="list what would go and why, change nothing"
    )
    gc.add_argument("--wait", action="store_true", help="show progress, return when it has ended")
    gc.add_argument("--report-file", metavar="F", help="write the run as one line of JSON there")
    _add_client(_add(commands, "usage", "show what a running server holds", _USAGE))
    _add_fsck(_add(commands, "fsck", "check what is stored, and repair it", _FSCK))
    undelete = _add(commands, "undelete", "bring back what was deleted", _UNDELETE)
    _add_client(undelete)
    undelete.add_argument("what", metavar="NAME[:TAG|@DIGEST]", help="repository, and what of it")
    _add_import(_add(commands, "import", "take over another registry", _IMPORT))
    passwd = _add(commands, "passwd", "make an account or change its password", _ACCOUNT)
    passwd.add_argument("file", metavar="FILE", help="made when missing")
    passwd.add_argument("user", metavar="USER")
    passwd.add_argument("--keep-old", action="store_true", help="let the old password work, too")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, short: str, text: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=short,
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--config", metavar="F", help="configuration file, YAML or JSON")
    serve.add_argument("--data", metavar="D", help="folder of the data (./cais-data)")
    serve.add_argument("--listen", metavar="H:P", help="address and port (127.0.0.1:5000)")
    serve.add_argument("--tls-cert", metavar="F", help="certificate chain, PEM; turns HTTPS on")
    serve.add_argument("--tls-key", metavar="F", help="its key, PEM, unencrypted PKCS#8")
    serve.add_argument("--htpasswd", metavar="F", help="users and bcrypt hashes; turns login on")


def _add_fsck(fsck: argparse.ArgumentParser) -> None:
    fsck.add_argument("--data", metavar="D", help="folder of the data of a stopped server")
    fsck.add_argument("--config", metavar="F", help="its configuration file, for a bucket")
    _add_client(fsck, is_required=False)
    fsck.add_argument("--repair", action="store_true", help="change what is safe to change")
    fsck.add_argument("--digests", action="store_true", help="also read and hash every blob")
    fsck.add_argument("--rebuild", action="store_true", help="make a lost database anew")
    fsck.add_argument("--force", action="store_true", help="rebuild what need not be")
    fsck.add_argument(
        "--orphans-to", metavar="NAME", help="repository for manifests that name none"
    )


def _add_import(taken: argparse.ArgumentParser) -> None:
    taken.add_argument(
        "--from", metavar="DIR|URL", dest="source", required=True, help="its root folder or address"
    )
    taken.add_argument(
        "--data", metavar="D", required=True, help="folder of the data of a stopped server"
    )
    taken.add_argument(
        "--repository", metavar="NAME", action="append", help="only this one; may be repeated"
    )
    taken.add_argument("--credentials-file", metavar="F", help="one line, user:password")
    taken.add_argument(
        "--auth-host", metavar="HOST", action="append", help="may be sent the password for a token"
    )
    taken.add_argument("--ca-file", metavar="F", help="more certificates to trust, PEM")
    taken.add_argument("-o", "--output", choices=("text", "json"), default="text")


def _add_client(parser: argparse.ArgumentParser, *, is_required: bool = True) -> None:
    parser.add_argument(
        "--server", metavar="URL", required=is_required, help="like https://registry.example:5000"
    )
    parser.add_argument("--ca-file", metavar="F", help="certificates to trust, PEM")
    parser.add_argument("--credentials-file", metavar="F", help="one line, user:password")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
