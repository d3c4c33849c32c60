# SPDX-License-Identifier: Apache-2.0
"""The configuration file as it is written; `settings` makes sense of it."""

from __future__ import annotations

import json
from typing import Any, Final, Literal, get_args

import msgspec

from cais_registry.config.errors import ConfigError
from cais_registry.config.identities import Issuer
from cais_registry.config.strict import Strict
from cais_registry.config.tokens import Tokens

Action = Literal["pull", "create", "push", "delete", "admin", "gc", "usage"]


_ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "actions": get_args(Action),
    "anonymous": ("pull",),
    "log.format": ("auto", "json", "text"),
}


class TlsFiles(Strict, frozen=True):
    """`tls`: PEM files, the key unencrypted in PKCS#8; their contents are watched."""

    cert_file: str
    key_file: str


class DatabaseFile(Strict, frozen=True):
    """`database`: PostgreSQL instead of SQLite in the data folder.

    Attributes:
        url_file: File with a connection string or URL of libpq, password and all.
    """

    url_file: str


class AuthFiles(Strict, frozen=True):
    """`auth`: who the users are; without it the registry is open to anyone."""

    htpasswd_file: str
    realm: str = "cais"


class Rule(Strict, frozen=True):
    """One of `access.rules`: whom it names may do the actions in the repositories.

    Attributes:
        repositories: Globs: `*` within one path segment, `**` any number of segments.
        actions: `create` is `push` that moves no tag; `admin` is the whole admin API, of which `gc`
            and `usage` are parts.
        users: Names of the htpasswd file; `*` is all of them.
        identities: Whom tokens speak of (`config.identities.check_names`).
    """

    repositories: tuple[str, ...]
    actions: tuple[Action, ...]
    users: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()


class Access(Strict, frozen=True):
    """`access`: deny by default, then the union of the rules that match.

    Attributes:
        anonymous: What may be done without logging in: nothing, or `pull`.
        rules: Who may do what where.
        issuers: Whose tokens are a login.
    """

    anonymous: tuple[Literal["pull"], ...] = ()
    rules: tuple[Rule, ...] = ()
    issuers: tuple[Issuer, ...] = ()


class TagRule(Strict, frozen=True):
    """One of `immutableTags`: such tags of such repositories, once there, stay as they are.

    Attributes:
        repositories: Globs as in `access.rules`.
        tags: Globs: `*` any characters.
    """

    repositories: tuple[str, ...]
    tags: tuple[str, ...]


class Times(Strict, frozen=True):
    """`garbageCollection`: Go durations."""

    push_lease: str = "24h"
    undelete_window: str = "24h"


class Log(Strict, frozen=True):
    """`log`: lines on standard output.

    Attributes:
        format: auto is text on a terminal and JSON lines elsewhere.
        audit: Tell who pushed, deleted and administered, and who was refused.
        audit_pulls: Tell who pulled, too.
    """

    format: Literal["auto", "json", "text"] = "auto"
    audit: bool = True
    audit_pulls: bool = False


class S3(Strict, frozen=True):
    """`storage.s3`: a bucket of an S3-compatible object store for the bytes of blobs.

    Attributes:
        bucket: Its name.
        access_key_file: File with the name of the access key.
        secret_key_file: File with the secret key.
        endpoint: `https://host:port`; left out, Amazon's own.
        region: Region that requests are signed for.
        prefix: Put before every key, without `/` at its ends.
        ca_file: Certificates to trust besides the system's, PEM.
        redirect: Send clients that pull a blob to the store (307, signed for 15 minutes).
    """

    bucket: str
    access_key_file: str
    secret_key_file: str
    endpoint: str | None = None
    region: str = "us-east-1"
    prefix: str = ""
    ca_file: str | None = None
    redirect: bool = False


class Storage(Strict, frozen=True):
    """`storage`: where the bytes of blobs are; left out, in the data folder."""

    s3: S3


class LimitValues(Strict, frozen=True):
    """`limits`: what is taken from clients.

    Attributes:
        manifest_bytes: Largest manifest, at least 1 KiB.
        manifest_references: Most descriptors in one manifest.
        tags_per_push: Most `tag` parameters in one push.
        sparse_manifests: Take manifests although some of what they refer to is not there.
        open_uploads: Most uploads that are begun and not ended, of everyone.
        open_uploads_per_user: The same, of one user who has logged in.
        slowest_bytes_per_second: Bodies that move slower than this are ended.
    """

    manifest_bytes: int = 4 * 1024 * 1024
    manifest_references: int = 10_000
    tags_per_push: int = 100
    sparse_manifests: bool = False
    open_uploads: int = 10_000
    open_uploads_per_user: int = 1000
    slowest_bytes_per_second: int = 240


class Timeouts(Strict, frozen=True):
    """`timeouts`: Go durations.

    Attributes:
        idle: A connection without a whole request for so long is closed.
        drain: Running requests have so long when the server is told to stop.
        stalled: A body that has not moved enough for so long is ended (`limits`).
        upload: An upload that nobody writes to for so long is dropped.
    """

    idle: str = "30s"
    drain: str = "20s"
    stalled: str = "60s"
    upload: str = "24h"


class Document(Strict, frozen=True):
    """The whole file; every block may be left out.

    `quota` is in bytes of blobs and manifests; left out, there is none.
    `retention` is read later, rule by rule: one that cannot be read keeps everything.
    """

    data: str | None = None
    listen: str | None = None
    database: DatabaseFile | None = None
    tls: TlsFiles | None = None
    auth: AuthFiles | None = None
    tokens: Tokens | None = None
    access: Access | None = None
    garbage_collection: Times = Times()
    quota: int | None = None
    read_only: bool = False
    immutable_tags: tuple[TagRule, ...] = ()
    retention: Any = None
    log: Log = Log()
    storage: Storage | None = None
    limits: LimitValues = LimitValues()
    timeouts: Timeouts = Timeouts()


def parse(text: str) -> Document:
    """Read a configuration file.

    Args:
        text: YAML or JSON; an empty text is an empty document.

    Raises:
        ConfigError: For bad syntax, a duplicate or unknown field, a value of the wrong kind.
    """
    tree = _load(text)
    try:
        return msgspec.convert({} if tree is None else tree, Document)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error))) from error


def _load(text: str) -> object:
    """JSON first: it is what the operator writes, and it spares a server the YAML library."""
    if text.lstrip().startswith("{"):
        try:
            tree: object = json.loads(text, object_pairs_hook=_unique)
        except json.JSONDecodeError:
            pass  # YAML's flow style begins like JSON
        else:
            return tree
    from cais_registry.config import yamlfile  # noqa: PLC0415 - costs memory, often not needed

    return yamlfile.load(text)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    block = dict(pairs)
    if len(block) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{twice}: is given twice")
    return block


def _explain(message: str) -> str:
    """Turn "... - at `$.auth.realm`" into "auth.realm: ..."."""
    what, _, where = message.partition(" - at `$")
    field = where.rstrip("`").lstrip(".")
    for name, allowed in _ALLOWED.items():
        if what.startswith("Invalid enum value") and name in field:
            what = f"{what} is not one of {', '.join(allowed)}"
    what = what.replace("Object contains", "has an").replace("Object missing", "lacks the")
    return f"{field}: {what}" if field else what.replace("has an unknown", "there is an unknown")
