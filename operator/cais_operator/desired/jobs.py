# SPDX-License-Identifier: Apache-2.0
"""The scheduled garbage collection. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

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
    ca_config_map_name: str
    gc_secret_name: str


def cron_job(registry: Registry, settings: Settings) -> Manifest:
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
        args=_arguments(registry),
        resources=_RESOURCES,
        ca_config_map_name=names.ca_config_map(registry),
        gc_secret_name=names.gc_secret(registry),
    )
    return finish(render("cron-job", context), registry, component=names.GC_COMPONENT)


def _arguments(registry: Registry) -> tuple[str, ...]:
    return (
        *("gc", "--wait"),
        *("--server", names.url(registry)),
        *("--ca-file", "/etc/cais/ca/ca.crt"),
        *("--credentials-file", "/etc/cais/gc/credentials"),
        *("--report-file", "/dev/termination-log"),
    )
