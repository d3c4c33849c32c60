# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from cais_operator.__main__ import _parser, settings_from
from cais_operator.settings import Settings


def settings(*flags: str, **variables: str) -> Settings:
    return settings_from(_parser().parse_args(["run", *flags]), variables)


def test_without_flags_and_variables_the_defaults_hold() -> None:
    assert settings() == Settings()


@pytest.mark.parametrize(
    ("flags", "variables", "changed"),
    [
        (["--namespace=a", "--namespace=b"], {}, {"namespaces": ("a", "b")}),
        ([], {"CAIS_NAMESPACES": "a, b"}, {"namespaces": ("a", "b")}),
        (["--kubeconfig=/k"], {}, {"kubeconfig": Path("/k")}),
        (["--resync=7"], {"CAIS_RESYNC": "9"}, {"resync": 7.0}),
        ([], {"CAIS_WORKERS": "3"}, {"workers": 3}),
        (["--no-leader-elect"], {}, {"leader_elect": False}),
        (["--leader-elect"], {"CAIS_LEADER_ELECT": "false"}, {"leader_elect": True}),
        ([], {"CAIS_LEADER_ELECT": "false"}, {"leader_elect": False}),
        (["--image-pull-secrets=x,y"], {}, {"image_pull_secrets": ("x", "y")}),
        (["--log-format=json"], {}, {"log_format": "json"}),
        (["--node-trust=a"], {}, {"node_trust": "a"}),
        (["--registry-listen=::"], {}, {"registry_listen": "::"}),
        ([], {"CAIS_IP_FAMILY_POLICY": "SingleStack"}, {"ip_family_policy": "SingleStack"}),
        (["--ca-overlap=90m"], {}, {"ca_overlap": timedelta(minutes=90)}),
        (["--rollout-max-concurrent=1000"], {}, {"rollout_max_concurrent": 1000}),
        ([], {"CAIS_ROLLOUT_MAX_FAILED": "1"}, {"rollout_max_failed": 1}),
        (["--rollout-deadline=1h"], {}, {"rollout_deadline": timedelta(hours=1)}),
        ([], {"CAIS_CA_RENEW_BEFORE": "48h"}, {"ca_renew_before": timedelta(days=2)}),
        ([], {"CAIS_REGISTRY_IMAGE": "reg/x:1"}, {"registry_image": "reg/x:1"}),
        ([], {"CAIS_RESYNC": ""}, {}),
    ],
)
def test_a_flag_wins_over_a_variable_over_the_default(
    flags: list[str], variables: Mapping[str, str], changed: Mapping[str, object]
) -> None:
    found = settings(*flags, **variables)
    expected = {field.name: getattr(Settings(), field.name) for field in fields(Settings)}
    assert {name: getattr(found, name) for name in expected} == {**expected, **changed}


@pytest.mark.parametrize(
    ("flags", "variables", "words"),
    [
        (["--resync=0"], {}, ("--resync", "'0'", "1 to 86400")),
        (["--workers=many"], {}, ("--workers", "'many'", "1 to 64")),
        ([], {"CAIS_WORKERS": "65"}, ("CAIS_WORKERS", "'65'", "1 to 64")),
        (["--health-listen=8080"], {}, ("--health-listen", "host:port")),
        (["--image-pull-policy=Sometimes"], {}, ("--image-pull-policy", "Always, IfNotPresent")),
        (["--rollout-max-concurrent=0"], {}, ("--rollout-max-concurrent", "'0'", "1 to 1000")),
        (["--rollout-deadline=5s"], {}, ("--rollout-deadline", "'5s'", "10s to 24h")),
        (["--registry-listen=::1"], {}, ("--registry-listen", "'::1'", "0.0.0.0, ::")),
        (["--ip-family-policy=x"], {}, ("--ip-family-policy", "'x'", "PreferDualStack")),
        (["--ca-overlap=0s"], {}, ("--ca-overlap", "'0s'", "1s to 8760h")),
        (["--ca-overlap=1d"], {}, ("--ca-overlap", "'1d'", "hours, minutes and seconds")),
        (["--ca-renew-before=1h"], {}, ("--ca-renew-before", "24h to 29200h")),
        ([], {"CAIS_LEADER_ELECT": "maybe"}, ("CAIS_LEADER_ELECT", "true or false")),
        ([], {"CAIS_LOG_FORMAT": "xml"}, ("CAIS_LOG_FORMAT", "auto, json, text")),
        (["--node-trust=a", "--namespace=b"], {}, ("--node-trust", "--namespace", "everybody's")),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    flags: list[str], variables: Mapping[str, str], words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="must be") as refused:
        settings(*flags, **variables)
    assert all(word in str(refused.value) for word in words)


def test_every_setting_can_be_given() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "cais_operator", "run", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = shown.split()
    for field in fields(Settings):
        flag = "--namespace" if field.name == "namespaces" else f"--{field.name.replace('_', '-')}"
        assert flag in words


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "--workers=0"], 2),
        (["run", "--kubeconfig=/nowhere/at/all"], 1),
        (["walk"], 2),
    ],
)
def test_a_start_that_cannot_be_says_why_in_one_line(arguments: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cais_operator", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("cais-operator")
