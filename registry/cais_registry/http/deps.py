# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cais_registry.http.audit import AuditLog
from cais_registry.http.gate import Gate
from cais_registry.http.patience import Slowest
from cais_registry.http.requests import Peer
from cais_registry.http.sinks import Sink
from cais_registry.http.stats import Stats
from cais_registry.services.core import Core


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFiles:
    """What the server has loaded.

    Attributes:
        files: SHA-256 of the loaded content by path as configured.
        error: Why the newest content was not taken, None when it was.
        retention_problems: Rules of retention that cannot be read; they keep everything.
    """

    files: Mapping[str, str]
    error: str | None
    retention_problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a process is, for as long as it lives.

    Attributes:
        version: Of the program.
        database: `sqlite` or `postgresql`.
        storage: `files` or `s3`.
        certificate_expiry: Until when its certificate is valid, in seconds since 1970; None for
            plain HTTP.
    """

    version: str
    database: str
    storage: str
    certificate_expiry: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """What handlers work with, built once per worker.

    Attributes:
        core: The services.
        gate: Users and rules.
        stats: Counts for `/metrics`.
        access_log: Takes a line for each request.
        audit: Tells who did what, or was refused; None when nobody wants to know.
        facts: What this process is.
        loaded: Tells which files are loaded at this moment.
        manifest_bytes: Largest manifest that is read.
        tags_per_push: Most `tag` parameters in one push.
        notices: What whoever pushes should hear of; cheap.
        slowest: How slow clients may be.
        cut: Ends the connection of a client, by its address and port.
    """

    core: Core
    gate: Gate
    stats: Stats
    access_log: Sink
    audit: AuditLog | None
    facts: Facts
    loaded: Callable[[], LoadedFiles]
    manifest_bytes: int
    tags_per_push: int
    notices: Callable[[], Sequence[str]]
    slowest: Slowest
    cut: Callable[[Peer], None]
