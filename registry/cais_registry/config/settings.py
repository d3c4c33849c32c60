# SPDX-License-Identifier: Apache-2.0
"""Settings as the server uses them: the file, with the flags over it, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from cais_registry.config import document, durations, globs, identities
from cais_registry.config import retention as retention_rules
from cais_registry.config.errors import ConfigError
from cais_registry.config.retention import Retention
from cais_registry.config.tokens import TokenSettings
from cais_registry.config.tokens import resolve as resolve_tokens

EVERYTHING: Final = document.Access(
    rules=(
        document.Rule(
            users=("*",), repositories=("**",), actions=("pull", "push", "delete", "admin")
        ),
    )
)
"""What `--htpasswd` alone means: whoever has an account may do everything."""

_SMALLEST_MANIFEST_LIMIT: Final = 1024
_LARGEST_QUOTA: Final = 2**63 - 1
_MOST_PORTS: Final = 65535
_SHORTEST_TIMEOUT: Final = timedelta(seconds=1)
_LONGEST_TIMEOUT: Final = timedelta(hours=1)
_LONGEST_UPLOAD: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says; None where it says nothing."""

    data: str | None = None
    listen: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    htpasswd: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a server is told.

    Attributes:
        data: Folder of the data.
        host: Address to listen on, without brackets.
        port: 0 lets the system choose.
        database: Where PostgreSQL is told, None for SQLite in the data folder.
        tls: Certificate and key, None for plain HTTP.
        auth: The users, None for a registry that is open to anyone.
        access: Who may do what; without meaning when `auth` is None.
        tokens: How tokens are given out; None where only passwords are taken.
        push_lease: What a pusher was told exists is kept for so long.
        undelete_window: What was deleted can come back for so long.
        log: What is logged, and how lines look.
        quota: Most bytes of blobs and manifests; None for no limit.
        read_only: Whether nothing may be pushed or deleted.
        immutable_tags: Tags that, once there, stay as they are.
        limits: What is taken from clients.
        storage: The object store for blobs; None for files in `data`.
        retention: What is deleted by itself; nothing without rules.
        idle: A connection without a whole request for so long is closed.
        drain: Running requests have so long when the server is told to stop.
        stalled: A body that has not moved enough for so long is ended.
        upload: An upload that nobody writes to for so long is dropped.
    """

    data: Path
    host: str
    port: int
    database: document.DatabaseFile | None
    tls: document.TlsFiles | None
    auth: document.AuthFiles | None
    access: document.Access
    push_lease: timedelta
    undelete_window: timedelta
    log: document.Log
    quota: int | None
    read_only: bool
    immutable_tags: tuple[document.TagRule, ...]
    limits: document.LimitValues
    idle: timedelta
    drain: timedelta
    stalled: timedelta
    upload: timedelta
    storage: document.Storage | None = None
    tokens: TokenSettings | None = None
    retention: Retention = field(default_factory=Retention)

    def fixed(self) -> tuple[object, ...]:
        """The part that a running server cannot change."""
        return (
            self.data,
            self.host,
            self.port,
            self.database,
            self.tls,
            self.auth,
            None if self.tokens is None else self.tokens.key_file,
            self.log,
            self.limits,
            self.storage,
            self.idle,
            self.drain,
            self.stalled,
            self.upload,
        )


def resolve(
    doc: document.Document,
    flags: Flags,
    *,
    default_data: str = "./cais-data",
    default_listen: str = "127.0.0.1:5000",
) -> Settings:
    """Lay flags over the file, and defaults under it.

    Raises:
        ConfigError: If a value is not allowed, or two contradict each other.
    """
    host, port = parse_listen(flags.listen or doc.listen or default_listen)
    auth, access = _auth(doc, flags)
    times = doc.garbage_collection
    _check_limits(doc.limits)
    _check_storage(doc.storage)
    return Settings(
        data=Path(flags.data or doc.data or default_data).absolute(),
        host=host,
        port=port,
        database=doc.database,
        tls=_tls(doc, flags),
        auth=auth,
        access=access,
        tokens=_tokens(doc, auth, access),
        push_lease=_duration("garbageCollection.pushLease", times.push_lease),
        undelete_window=_duration("garbageCollection.undeleteWindow", times.undelete_window),
        log=_log(doc.log),
        quota=_quota(doc.quota),
        read_only=doc.read_only,
        immutable_tags=_immutable_tags(doc.immutable_tags),
        limits=doc.limits,
        storage=doc.storage,
        idle=_timeout("timeouts.idle", doc.timeouts.idle),
        drain=_timeout("timeouts.drain", doc.timeouts.drain),
        retention=retention_rules.parse(doc.retention),
        stalled=_timeout("timeouts.stalled", doc.timeouts.stalled),
        upload=_timeout("timeouts.upload", doc.timeouts.upload, longest=_LONGEST_UPLOAD),
    )


def parse_listen(text: str) -> tuple[str, int]:
    """Read `HOST:PORT`, `[IPv6]:PORT` or `:PORT` (every IPv4 address).

    Raises:
        ConfigError: If it is none of them.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or (":" in host and not bracketed):
        raise ConfigError(f"listen: {text[:80]!r} is not HOST:PORT, like 127.0.0.1:5000")
    if int(port) > _MOST_PORTS:
        raise ConfigError(f"listen: port {port[:20]} is above {_MOST_PORTS}")
    return (host[1:-1] if bracketed else host) or "0.0.0.0", int(port)  # noqa: S104 - asked for


def _tls(doc: document.Document, flags: Flags) -> document.TlsFiles | None:
    if (flags.tls_cert is None) != (flags.tls_key is None):
        raise ConfigError("--tls-cert and --tls-key go together; one of them is missing")
    if flags.tls_cert is None or flags.tls_key is None:
        return doc.tls
    return document.TlsFiles(cert_file=flags.tls_cert, key_file=flags.tls_key)


def _auth(
    doc: document.Document, flags: Flags
) -> tuple[document.AuthFiles | None, document.Access]:
    auth = doc.auth
    if flags.htpasswd is not None:
        realm = doc.auth.realm if doc.auth else "cais"
        auth = document.AuthFiles(htpasswd_file=flags.htpasswd, realm=realm)
    if auth is None:
        if doc.access is not None:
            raise ConfigError(
                "access: needs auth.htpasswdFile; without users the registry is open to anyone"
            )
        return None, document.Access()
    if not auth.realm.isascii() or not auth.realm.isprintable() or set('"\\') & set(auth.realm):
        raise ConfigError("auth.realm: only printable ASCII without quotes and backslashes")
    unstated = EVERYTHING if flags.htpasswd is not None else document.Access()
    access = unstated if doc.access is None else doc.access
    identities.check_issuers(access.issuers)
    for index, rule in enumerate(access.rules):
        field = f"access.rules[{index}]"
        globs.check_repositories(f"{field}.repositories", rule.repositories)
        identities.check_names(f"{field}.identities", rule.identities, access.issuers)
    return auth, access


def _tokens(
    doc: document.Document, auth: document.AuthFiles | None, access: document.Access
) -> TokenSettings | None:
    issuers = [one.issuer for one in access.issuers]
    return resolve_tokens(doc.tokens, has_users=auth is not None, issuers=issuers)


def _quota(quota: int | None) -> int | None:
    if quota is not None and not 0 < quota <= _LARGEST_QUOTA:
        raise ConfigError(
            f"quota: {quota} is not a number of bytes from 1 to {_LARGEST_QUOTA}; "
            "leave it out for no limit, and use readOnly to take nothing"
        )
    return quota


def _immutable_tags(rules: tuple[document.TagRule, ...]) -> tuple[document.TagRule, ...]:
    for index, rule in enumerate(rules):
        if not rule.repositories or not rule.tags:
            raise ConfigError(
                f"immutableTags[{index}]: names no repositories or no tags; "
                '["**"] is every repository, ["*"] every tag'
            )
        globs.check_repositories(f"immutableTags[{index}].repositories", rule.repositories)
        globs.check_tags(f"immutableTags[{index}].tags", rule.tags)
    return rules


def _duration(field: str, text: str) -> timedelta:
    try:
        return durations.parse(text)
    except ConfigError as error:
        raise ConfigError(f"{field}: {error}") from error


def _timeout(field: str, text: str, *, longest: timedelta = _LONGEST_TIMEOUT) -> timedelta:
    found = _duration(field, text)
    if not _SHORTEST_TIMEOUT <= found <= longest:
        hours = longest // timedelta(hours=1)
        raise ConfigError(f"{field}: {text[:40]!r} is not between 1s and {hours}h")
    return found


def _log(log: document.Log) -> document.Log:
    if log.audit_pulls and not log.audit:
        raise ConfigError("log.auditPulls: needs log.audit: true")
    return log


def _check_storage(storage: document.Storage | None) -> None:
    if storage is None:
        return
    s3 = storage.s3
    if not s3.bucket or "/" in s3.bucket:
        raise ConfigError("storage.s3.bucket: the name of a bucket, without /")
    if s3.endpoint is not None and not s3.endpoint.startswith(("http://", "https://")):
        raise ConfigError("storage.s3.endpoint: begins with https:// or http://")
    if s3.prefix != s3.prefix.strip("/"):
        raise ConfigError("storage.s3.prefix: without / at its ends")


def _check_limits(limits: document.LimitValues) -> None:
    if limits.manifest_bytes < _SMALLEST_MANIFEST_LIMIT:
        raise ConfigError(f"limits.manifestBytes: at least {_SMALLEST_MANIFEST_LIMIT}")
    for name, value, least in (
        ("manifestReferences", limits.manifest_references, 1),
        ("tagsPerPush", limits.tags_per_push, 1),
        ("openUploads", limits.open_uploads, 1),
        ("openUploadsPerUser", limits.open_uploads_per_user, 1),
        ("slowestBytesPerSecond", limits.slowest_bytes_per_second, 0),
    ):
        if value < least:
            raise ConfigError(f"limits.{name}: at least {least}")
