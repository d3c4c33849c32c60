# SPDX-License-Identifier: Apache-2.0
"""For each alert of the chart: what Prometheus has scraped when it fires, and when it does not.

Samples are a minute apart, in promtool's notation: `1x5` is 1 six times, `_` is a scrape without
the sample, `1+6x5` grows by 6 each time. The clock of these cases begins at 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Series = Mapping[str, str]  # metric with labels, and its samples

_WEEK: Final = 7 * 86400  # seconds
_MONTH: Final = 30 * 86400
_TEAM: Final = "team.team-a.svc:5000"
_LABELS: Final = {
    "registry": {"instance": _TEAM, "job": "team"},
    "operator": {"instance": "10.0.0.7:8080", "job": "cais-operator-metrics"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One alert.

    Attributes:
        fires: What was scraped when it fires.
        calm: What was scraped when it does not; each nearly as bad.
        at: Minute at which one looks.
        summary: How it tells itself then.
        labels: Of the alert, beside its severity and those of the target.
        of_target: Whether it has the labels of a target.
    """

    fires: Series
    calm: tuple[Series, ...]
    at: int
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)
    of_target: bool = True


REGISTRY: Final[Mapping[str, Case]] = {
    "CaisRegistryDown": Case(
        fires={"cais_build_info": "1x10", "up": "1x10 0x20"},
        calm=(
            {"cais_build_info": "1x10", "up": "1x26 0x4"},  # for less than 5 minutes
            {"cais_tags": "1x10", "up": "1x10 0x20"},  # never was a registry
        ),
        at=30,
        summary=f"Registry {_TEAM} is down.",
    ),
    "CaisRegistryDatabaseDown": Case(
        fires={"cais_database_up": "1x10 0x20"},
        calm=({"cais_database_up": "1x26 0x4"},),
        at=30,
        summary=f"The database of registry {_TEAM} does not answer.",
    ),
    "CaisRegistryDiskFull": Case(
        fires={"cais_disk_available_bytes": "9x30", "cais_disk_reserve_bytes": "9x30"},
        calm=(
            {"cais_disk_available_bytes": "10x30", "cais_disk_reserve_bytes": "9x30"},
            {
                "cais_disk_available_bytes": "10x30",
                "cais_disk_reserve_bytes": "9x30",
                'cais_http_requests_total{method="PUT",route="blob",status="201"}': "0+6x30",
            },
        ),
        at=30,
        summary=f"Registry {_TEAM} refuses pushes for lack of space.",
    ),
    "CaisRegistryDiskFillingUp": Case(
        fires={"cais_disk_available_bytes": "9x60", "cais_disk_capacity_bytes": "100x60"},
        calm=(
            {"cais_disk_available_bytes": "10x60", "cais_disk_capacity_bytes": "100x60"},
            {"cais_disk_available_bytes": "99x31 9x29", "cais_disk_capacity_bytes": "100x60"},
        ),
        at=60,
        summary=f"The volume of registry {_TEAM} is getting full.",
    ),
    "CaisRegistryQuotaUsedUp": Case(
        fires={"cais_stored_bytes": "1992295x40", "cais_quota_bytes": "2097152x40"},
        calm=(
            {"cais_stored_bytes": "1992295x40"},  # no quota
            {"cais_stored_bytes": "1992295x40", "cais_quota_bytes": "2097154x40"},
        ),
        at=40,
        summary=f"Registry {_TEAM} has used 1.9MiB, nearly all of its quota.",
    ),
    "CaisRegistryCollectionFailed": Case(
        fires={
            "cais_gc_last_run_timestamp_seconds": "60x30",
            "cais_gc_last_success_timestamp_seconds": "30x30",
        },
        calm=(
            {
                "cais_gc_last_run_timestamp_seconds": "60x30",
                "cais_gc_last_success_timestamp_seconds": "60x30",
            },
            {"cais_gc_running": "0x30"},  # none yet
        ),
        at=30,
        summary=f"The last garbage collection of registry {_TEAM} failed.",
    ),
    "CaisRegistryNotCollected": Case(
        fires={"cais_gc_last_success_timestamp_seconds": "-172201x10"},  # two days and a second ago
        calm=(
            {"cais_gc_last_success_timestamp_seconds": "-172200x10"},
            {  # none yet, since a start two days ago
                "process_start_time_seconds": "-172200x10",
                "cais_gc_running": "0x10",
            },
        ),
        at=10,
        summary=f"No garbage collection of registry {_TEAM} has succeeded for two days.",
    ),
    "CaisRegistryCertificateExpires": Case(
        fires={"cais_certificate_expiry_timestamp_seconds": f"{_WEEK}x30"},
        calm=({"cais_certificate_expiry_timestamp_seconds": f"{_WEEK + 30 * 60}x30"},),
        at=30,
        summary=f"The certificate of registry {_TEAM} expires in 6d 23h 30m 0s.",
    ),
    "CaisRegistryConfigurationNotTaken": Case(
        fires={"cais_config_last_reload_successful": "1x5 0x20"},
        calm=({"cais_config_last_reload_successful": "1x16 0x8"},),
        at=25,
        summary=f"Registry {_TEAM} goes on with an old configuration.",
    ),
    "CaisRegistryErrors": Case(
        fires={
            'cais_http_requests_total{method="PUT",route="blob",status="500"}': "0+6x40",
            'cais_http_requests_total{method="GET",route="blob",status="200"}': "0+54x40",
        },
        calm=(
            {
                'cais_http_requests_total{method="PUT",route="blob",status="500"}': "0+3x40",
                'cais_http_requests_total{method="GET",route="blob",status="200"}': "0+57x40",
            },
            {  # for lack of space, and probes
                'cais_http_requests_total{method="PUT",route="blob",status="507"}': "0+54x40",
                'cais_http_requests_total{method="GET",route="probe",status="503"}': "0+54x40",
                'cais_http_requests_total{method="GET",route="blob",status="200"}': "0+6x40",
            },
        ),
        at=40,
        summary=f"Registry {_TEAM} answers 10% of requests with errors of its own.",
    ),
}

OPERATOR: Final[Mapping[str, Case]] = {
    "CaisOperatorDown": Case(
        fires={"cais_leading": "1x10 _x20"},
        calm=(
            {"cais_leading": "1x26 _x4"},
            {"up": "1x30"},  # there never was one
        ),
        at=30,
        summary="No operator of Cais leads.",
        of_target=False,
    ),
    "CaisOperatorStuck": Case(
        fires={"cais_queue_age_seconds": "0x5 301x20"},
        calm=({"cais_queue_age_seconds": "300x25"}, {"cais_queue_age_seconds": "0x21 900x4"}),
        at=25,
        summary="The operator of Cais has left a Registry waiting for 5m 1s.",
        of_target=False,
    ),
    "CaisOperatorFails": Case(
        fires={'cais_reconciles_total{result="error"}': "0+1x40"},
        calm=(
            {'cais_reconciles_total{result="error"}': "7x40"},  # long ago
            {'cais_reconciles_total{result="retry"}': "0+9x40"},
        ),
        at=40,
        summary="The operator of Cais fails again and again.",
        of_target=False,
    ),
    "CaisOperatorRefused": Case(
        fires={
            'cais_api_requests_total{code="403",verb="patch"}': "0+6x40",
            'cais_api_requests_total{code="error",verb="get"}': "0+6x40",
            'cais_api_requests_total{code="200",verb="get"}': "0+90x40",
        },
        calm=(
            {
                'cais_api_requests_total{code="500",verb="patch"}': "0+6x40",
                'cais_api_requests_total{code="200",verb="get"}': "0+60x40",
            },
            {  # what a look asks for and what another one was faster with
                'cais_api_requests_total{code="404",verb="get"}': "0+60x40",
                'cais_api_requests_total{code="409",verb="update"}': "0+60x40",
            },
        ),
        at=40,
        summary="The API server refuses more than one in ten requests of the operator of Cais.",
        of_target=False,
    ),
    "CaisOperatorBlind": Case(
        fires={
            'cais_watch_last_event_age_seconds{kind="Secret"}': "0+60x20",
            'cais_watch_last_event_age_seconds{kind="Pod"}': "60x20",
        },
        calm=(
            {'cais_watch_last_event_age_seconds{kind="Secret"}': "300x20"},
            {'cais_watch_last_event_age_seconds{kind="Secret"}': "0x12 0+60x7"},
        ),
        at=20,
        summary="The operator of Cais has heard nothing of kind Secret for five minutes.",
        labels={"kind": "Secret"},
        of_target=False,
    ),
    "CaisRegistriesNotReady": Case(
        fires={
            'cais_registries{ready="False"}': "0x5 2x40",
            'cais_registries{ready="True"}': "9x45",
        },
        calm=(
            {'cais_registries{ready="False"}': "0x16 2x28"},
            {'cais_registries{ready="Unknown"}': "2x45", 'cais_registries{ready="False"}': "0x45"},
        ),
        at=45,
        summary="2 Registries have not been Ready for half an hour.",
        of_target=False,
    ),
    "CaisRegistriesCertificateExpires": Case(
        fires={"cais_registries_certificate_expiry_timestamp_seconds": f"{_WEEK}x90"},
        calm=({"cais_registries_certificate_expiry_timestamp_seconds": f"{_WEEK + 90 * 60}x90"},),
        at=90,
        summary="The certificate of a Registry ends within 7 days.",
        of_target=False,
    ),
    "CaisAuthorityExpires": Case(
        fires={"cais_ca_not_after_timestamp_seconds": f"{_MONTH}x90"},
        calm=({"cais_ca_not_after_timestamp_seconds": f"{_MONTH + 90 * 60}x90"},),
        at=90,
        summary="The CA of Cais ends within 30 days.",
        of_target=False,
    ),
}

CASES: Final = {"registry": REGISTRY, "operator": OPERATOR}


def labelled(side: str, name: str, more: Mapping[str, str] | None = None) -> str:
    """Return a metric with the labels that a scrape of that side adds."""
    metric, _, own = name.partition("{")
    added = [f'{key}="{value}"' for key, value in {**_LABELS[side], **(more or {})}.items()]
    return f"{metric}{{{','.join([*filter(None, [own.rstrip('}')]), *added])}}}"


def target(side: str) -> Mapping[str, str]:
    """Return the labels that a scrape of that side adds."""
    return _LABELS[side]
