# SPDX-License-Identifier: Apache-2.0
"""What servers over a bucket and a database need: read from Secrets of others, and checked. Pure.

It is copied into a Secret of the Registry's own, which the pods mount: so they start also when a
Secret of others is gone, and a broken one reaches no server. No message holds what a Secret holds.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from cais_operator import chains, database_url
from cais_operator.errors import Problem
from cais_operator.observed import Live
from cais_operator.resource import S3, Database, Registry

FOLDER = "/etc/cais/backend"
ANNOTATION = "cais.dev/backend"  # of pods: the revision of the copy that they were started with
REVISION = "revision"
"""Key of the copy: another value for each content, which tells nothing of it."""

_URL, _ID, _KEY, _CA = "database-url", "access-key-id", "secret-access-key", "ca.crt"
_LONGEST = 1024  # characters of a part of an access key
_LARGEST = 256 * 1024  # bytes of certificates; a Secret holds four times as much
_WORD = re.compile(r"[!-~]+")
_REVISION = re.compile(r"[0-9a-f]{16}")  # as `pki.new_revision` makes them


class _Source(NamedTuple):
    """One value: where it stands, in which file it goes, how it is checked."""

    field: str
    name: str
    key: str
    file: str
    check: Callable[[str], object]


def secret_name(registry: Registry) -> str:
    """Return the name of the copy."""
    return f"{registry.name}-backend"


def referenced(registry: Registry) -> tuple[str, ...]:
    """Return the names of the Secrets of others, each once."""
    return tuple(dict.fromkeys(source.name for source in _sources(registry)))


def mounted(deployment: Live) -> str:
    """Return the revision that the pods of a Deployment mount; empty with a volume."""
    metadata = deployment["spec"]["template"]["metadata"]
    return str(metadata["annotations"].get(ANNOTATION, ""))


def files(registry: Registry) -> tuple[str, ...]:
    """Return the names of the files that pods mount."""
    return tuple(source.file for source in _sources(registry))


def prefix(registry: Registry, s3: S3) -> str:
    """Return what keys in the bucket begin with."""
    return s3.prefix or f"{registry.namespace}/{registry.name}"


def settings(registry: Registry) -> dict[str, Any]:
    """Return the part of the server's configuration that it reads once; nothing with a volume."""
    s3 = registry.spec.storage.s3
    if s3 is None:
        return {}
    store: dict[str, Any] = {
        "bucket": s3.bucket,
        "region": s3.region,
        "prefix": prefix(registry, s3),
        "accessKeyFile": f"{FOLDER}/{_ID}",
        "secretKeyFile": f"{FOLDER}/{_KEY}",
        "redirect": s3.redirect,
    }
    store |= {} if s3.endpoint is None else {"endpoint": s3.endpoint}
    store |= {} if s3.ca_secret_ref is None else {"caFile": f"{FOLDER}/{_CA}"}
    return {"database": {"urlFile": f"{FOLDER}/{_URL}"}, "storage": {"s3": store}}


def problems(registry: Registry, references: Mapping[str, Live | None]) -> Iterator[Problem]:
    """Yield what is missing or cannot be used of bucket and database."""
    yield from _shape(registry)
    lacking = (_lack(source, references) for source in _sources(registry))
    yield from dict.fromkeys(one for one in lacking if one is not None)


def given(registry: Registry, references: Mapping[str, Live | None]) -> dict[str, str]:
    """Return what pods mount, by file name; nothing with a volume.

    Only to be called when there are no `problems`.
    """
    return {one.file: _value(one, references) for one in _sources(registry)}


def revision(copy: Live | None, wanted: Mapping[str, str]) -> str | None:
    """Return the revision of the copy; None when it does not hold what is wanted, or no revision.

    What somebody has written there instead would go into the template of the pods as it is.
    """
    data = (copy or {}).get("data") or {}
    texts = {key: _decoded(text) for key, text in data.items()}
    found = texts.pop(REVISION, "")
    return found if _REVISION.fullmatch(found) and texts == dict(wanted) else None


def revision_in(copy: Live | None) -> str:
    """Return the revision of a copy; empty when there is none."""
    return _decoded(((copy or {}).get("data") or {}).get(REVISION, ""))


class _Unusable(Exception):  # noqa: N818 - a finding, which becomes a problem
    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _shape(registry: Registry) -> Iterator[Problem]:
    storage, replicas = registry.spec.storage, registry.spec.pod.replicas
    if storage.volume is not None and storage.s3 is not None:
        yield Problem(field="spec.storage", value=["volume", "s3"], rule="name one of them")
    if (storage.s3 is None) != (registry.spec.database is None):
        rule = "storage.s3 and database need each other: the bucket holds the bytes of blobs alone"
        has = "storage.s3" if storage.s3 is not None else "database"
        yield Problem(field="spec.database", value=f"only {has} is there", rule=rule)
    if storage.s3 is None and (replicas or 1) > 1:
        rule = "needs storage.s3 and database: a volume belongs to one server"
        yield Problem(field="spec.pod.replicas", value=replicas, rule=rule)


def _sources(registry: Registry) -> Iterator[_Source]:
    s3, database = registry.spec.storage.s3, registry.spec.database
    if s3 is not None:
        yield from _of_bucket(s3)
    if database is not None:
        yield from _of_database(database)


def _of_bucket(s3: S3) -> Iterator[_Source]:
    field, ref = "spec.storage.s3.secretRef", s3.secret_ref
    yield _Source(f"{field}.accessKeyId", ref.name, ref.access_key_id, _ID, _check_word)
    yield _Source(f"{field}.secretAccessKey", ref.name, ref.secret_access_key, _KEY, _check_word)
    if s3.ca_secret_ref is not None:
        trusted = s3.ca_secret_ref
        yield _Source("spec.storage.s3.caSecretRef.key", trusted.name, trusted.key, _CA, _check_ca)


def _of_database(database: Database) -> Iterator[_Source]:
    ref = database.secret_ref
    yield _Source("spec.database.secretRef.key", ref.name, ref.key, _URL, database_url.check)


def _value(source: _Source, references: Mapping[str, Live | None]) -> str:
    secret = references.get(source.name)
    if secret is None:
        field = f"{source.field.rpartition('.')[0]}.name"
        rule = "there is no such Secret in this namespace: create it"
        raise _Unusable(Problem(field=field, value=source.name, rule=rule))
    data = secret.get("data") or {}
    if source.key not in data:
        rule = f"Secret {source.name} has no such key"
        raise _Unusable(Problem(field=source.field, value=source.key, rule=rule))
    text = _decoded(data[source.key]).strip()
    try:
        source.check(text)
    except ValueError as error:
        rule = f"what Secret {source.name} holds there {error}"
        raise _Unusable(Problem(field=source.field, value=source.key, rule=rule)) from None
    return text


def _lack(source: _Source, references: Mapping[str, Live | None]) -> Problem | None:
    try:
        _value(source, references)
    except _Unusable as found:
        return found.problem
    return None


def _check_word(text: str) -> None:
    if len(text) > _LONGEST or _WORD.fullmatch(text) is None:
        raise ValueError(f"must be 1 to {_LONGEST} letters, digits and signs without spaces")


def _check_ca(text: str) -> None:
    if len(text) > _LARGEST:
        raise ValueError(f"must be at most {_LARGEST} bytes")
    encoded = base64.b64encode(text.encode()).decode()
    try:
        chains.certificates({"data": {_CA: encoded}}, _CA)
    except ValueError as error:
        raise ValueError(f"must be certificates in PEM: {error}") from None


def _decoded(text: str) -> str:
    """Return one value of a Secret; what is no text becomes one that no check lets pass."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return "\0"
