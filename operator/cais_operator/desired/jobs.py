# SPDX-License-Identifier: Apache-2.0
"""The scheduled garbage collection. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cais_operator import names
from cais_operator.desired import pods
from cais_operator.desired.metadata import finish
from cais_operator.render import Manifest, render
from cais_operator.resource import Registry
from cais_operator.settings import Settings

_RESOURCES = {
    "requests": {"cpu": "10m", "memory": "32Mi"},
    "limits": {"memory": "128Mi"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _CronJob:
    pod: pods.Common
    name: str
    schedule: str
    time_zone: str
    suspend: bool
    job_labels: Mapping[str, str]
    service_account_name: str
    args: tuple[str, ...]
    resources: Mapping[str, Mapping[str, str]]
    host_aliases: tuple[Mapping[str, Any], ...] | None
    trust: Mapping[str, Any]
    gc_secret_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the job reaches the server and knows it.

    Attributes:
        host: Name that the server's certificate covers.
        ip: Address under which the job shall find that name; None when names do resolve.
        trust_key: Key of the TLS Secret with what verifies the server.
    """

    host: str
    ip: str | None = None
    trust_key: str = "ca.crt"


def cron_job(registry: Registry, settings: Settings, way: Way) -> Manifest:
    """Return the CronJob: a thin client of the server's admin API, which does the work.

    It mounts no data; its report is its termination message.
    """
    collection = registry.spec.garbage_collection
    context = _CronJob(
        pod=pods.common(registry, settings, names.GC_COMPONENT, {}),
        name=names.cron_job(registry),
        schedule=collection.schedule,
        time_zone=collection.time_zone,
        suspend=collection.suspend,
        job_labels=pods.pod_labels(registry, names.GC_COMPONENT),
        service_account_name=names.service_account(registry),
        args=_arguments(registry, way),
        resources=_RESOURCES,
        host_aliases=({"ip": way.ip, "hostnames": [way.host]},) if way.ip else None,
        trust=_trust(registry, way),
        gc_secret_name=names.gc_secret(registry),
    )
    return finish(render("cron-job", context), registry, component=names.GC_COMPONENT)


def _trust(registry: Registry, way: Way) -> dict[str, Any]:
    """Without TLS there may be no such Secret; the mount is then empty."""
    items = [{"key": way.trust_key, "path": "ca.crt"}]
    return {**pods.tls_source(registry), "items": items}


def _arguments(registry: Registry, way: Way) -> tuple[str, ...]:
    trust = () if registry.spec.tls.is_disabled else ("--ca-file", "/etc/cais/ca/ca.crt")
    return (
        *("gc", "--wait"),
        *("--server", f"{names.scheme(registry)}://{way.host}:{names.PORT}"),
        *trust,
        *("--credentials-file", "/etc/cais/gc/credentials"),
        *("--report-file", "/dev/termination-log"),
    )
