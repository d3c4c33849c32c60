# SPDX-License-Identifier: Apache-2.0
import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from cais_operator import desired
from cais_operator.certificates import Authority, Leaf
from cais_operator.credentials import UserEntry
from cais_operator.render import Manifest
from cais_operator.resource import User
from cais_operator.settings import Settings
from operator_builders import HOSTS, SETTINGS, WAY, decoded, registry, with_users, with_volume

CA = Authority(certificate="CA", key="CA-KEY", bundle="CA\nOLD-CA\n")
LEAF = Leaf(certificate="LEAF", key="LEAF-KEY")
RULE = {"users": ["ci"], "repositories": ["apps/**"], "actions": ["pull", "push"]}


def _pod(spec: dict[str, Any] | None = None, settings: Settings = SETTINGS) -> dict[str, Any]:
    found: dict[str, Any] = desired.deployment(registry(spec), settings)["spec"]["template"]
    return found


def _container(spec: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = _pod(spec)["spec"]["containers"][0]
    return found


def _job(spec: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = desired.cron_job(registry(spec), SETTINGS, WAY)["spec"]
    return found


def _config(spec: dict[str, Any] | None = None) -> dict[str, Any]:
    text = desired.config_map(registry(spec), SETTINGS)["data"]["server.yaml"]
    found: dict[str, Any] = json.loads(text)
    return found


def _claim(live: Manifest | None = None, **volume: Any) -> Manifest:
    found = desired.claim(registry(with_volume(**volume)), SETTINGS, live)
    assert found is not None
    return found


def test_everything_but_a_retained_claim_is_owned() -> None:
    team = registry()
    owned = [
        desired.service(team, SETTINGS),
        desired.deployment(team, SETTINGS),
        desired.admin_secret(team, SETTINGS, "pw"),
        _claim(onDelete="Delete"),
    ]
    for manifest in owned:
        assert manifest["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "cais.dev/v1alpha1",
                "kind": "Registry",
                "name": "team",
                "uid": "uid-of-team",
                "controller": True,
            }
        ]
    assert "ownerReferences" not in _claim()["metadata"]
    assert _claim()["metadata"]["annotations"] == {"cais.dev/registry": "team"}


@pytest.mark.parametrize(
    ("live", "asked", "size"),
    [
        (None, "10Gi", "10Gi"),
        (None, "1024Mi", "1Gi"),
        ("20Gi", "10Gi", "20Gi"),  # 10Gi is the default: it never shrinks what is there
        ("5Gi", "10Gi", "10Gi"),
        ("20Gi", "30Gi", "30Gi"),
    ],
)
def test_a_claim_grows_and_a_default_never_shrinks_it(
    live: str | None, asked: str, size: str
) -> None:
    before = None if live is None else _claim(size=live)
    assert _claim(before, size=asked)["spec"]["resources"]["requests"]["storage"] == size


def test_the_storage_class_is_left_to_the_cluster_unless_asked_for() -> None:
    assert "storageClassName" not in _claim()["spec"]
    assert _claim(storageClassName="fast")["spec"]["storageClassName"] == "fast"


def test_an_existing_claim_is_mounted_and_not_made() -> None:
    spec = with_volume(existingClaim="old")
    assert desired.claim(registry(spec), SETTINGS, None) is None
    assert _pod(spec)["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "old"}


def test_a_lost_service_asks_for_its_old_address() -> None:
    known = registry(status={"clusterIP": "10.96.7.7"})
    assert desired.service(known, SETTINGS)["spec"]["clusterIP"] == "10.96.7.7"
    anew = desired.service(known, SETTINGS, keep_address=False)
    assert "clusterIP" not in anew["spec"]
    assert "clusterIP" not in desired.service(registry(), SETTINGS)["spec"]


def test_a_node_port_is_asked_for_only_with_its_type() -> None:
    spec = {"expose": {"type": "NodePort", "nodePort": 30500}}
    service = desired.service(registry(spec), SETTINGS)["spec"]
    assert (service["type"], service["ports"][0]["nodePort"]) == ("NodePort", 30500)
    assert "nodePort" not in desired.service(registry(), SETTINGS)["spec"]["ports"][0]


def test_the_configuration_denies_by_default() -> None:
    assert _config()["access"] == {
        "anonymous": [],
        "rules": [
            {
                "users": ["admin"],
                "repositories": ["**"],
                "actions": ["pull", "push", "delete", "admin"],
            },
            {"users": ["pull"], "repositories": ["**"], "actions": ["pull"]},
            {"users": ["cais-gc"], "repositories": [], "actions": ["gc", "usage"]},
        ],
    }


def test_the_configuration_carries_rules_and_times() -> None:
    spec = with_users({"name": "ci"}, rules=(RULE,))
    spec["access"]["anonymous"] = ["pull"]
    spec["garbageCollection"] = {"pushLease": "60m", "undeleteWindow": "0s"}
    found = _config(spec)
    assert found["access"]["anonymous"] == ["pull"]
    assert found["access"]["rules"][3] == RULE
    assert found["garbageCollection"] == {"pushLease": "1h", "undeleteWindow": "0s"}


def test_what_the_server_reloads_by_itself_restarts_no_pod() -> None:
    changed = with_users({"name": "ci"}, rules=(RULE,)) | {
        "tls": {"issued": {"validity": "48h", "renewBefore": "1h"}},
        "garbageCollection": {"undeleteWindow": "0s", "schedule": "@daily"},
        "expose": {"type": "NodePort", "hostnames": ["registry.example.com"]},
    }
    assert _pod(changed) == _pod()


def test_the_pull_secret_names_every_address() -> None:
    texts = decoded(desired.pull_secret(registry(), SETTINGS, "pw", HOSTS, None))
    auths = json.loads(texts[".dockerconfigjson"])["auths"]
    assert set(auths) == {
        "team.team-a.svc:5000",
        "registry.example.com:5000",
        "10.96.7.7:5000",
    }
    for entry in auths.values():
        assert base64.b64decode(entry["auth"]) == b"pull:pw"
        assert (entry["username"], entry["password"]) == ("pull", "pw")
    assert (texts["username"], texts["password"]) == ("pull", "pw")


def test_generated_accounts_have_their_own_secrets() -> None:
    team = registry()
    assert decoded(desired.admin_secret(team, SETTINGS, "a")) == {
        "username": "admin",
        "password": "a",
    }
    assert decoded(desired.gc_secret(team, SETTINGS, "b")) == {
        "username": "cais-gc",
        "password": "b",
        "credentials": "cais-gc:b",
    }
    made = desired.user_secret(team, SETTINGS, User(name="ci"), "c")
    assert made["metadata"]["name"] == "team-user-ci"
    assert decoded(made) == {"username": "ci", "password": "c"}


def test_the_same_material_gives_the_same_secret() -> None:
    entries = (UserEntry(name="ci", hash="h", fingerprint="f"),)
    one = desired.users_secret(registry(), SETTINGS, entries)
    assert one == desired.users_secret(registry(), SETTINGS, entries)
    assert decoded(one) == {"htpasswd": "ci:h\n", "fingerprints": '{"ci": ["f"]}'}


def test_certificates_come_with_the_bundle_that_proves_them() -> None:
    team = registry()
    assert decoded(desired.tls_secret(team, SETTINGS, LEAF, CA)) == {
        "tls.crt": "LEAF",
        "tls.key": "LEAF-KEY",
        "ca.crt": "CA\nOLD-CA\n",
    }
    public = desired.ca_config_map(team, SETTINGS, CA.bundle)
    assert public["data"] == {"ca.crt": "CA\nOLD-CA\n"}


def test_the_authority_lives_in_the_system_namespace_and_belongs_to_no_registry() -> None:
    made = desired.authority_secret(Settings(system_namespace="sys"), CA)
    assert (made["metadata"]["namespace"], made["metadata"]["name"]) == ("sys", "cais-ca")
    assert "ownerReferences" not in made["metadata"]


def test_loaded_files_are_hashes_of_what_the_pod_mounts() -> None:
    team = registry()
    config = desired.config_map(team, SETTINGS)
    users = desired.users_secret(team, SETTINGS, ())
    tls = desired.tls_secret(team, SETTINGS, LEAF, CA)
    keys = desired.token_keys_secret(team, SETTINGS, ())
    found = desired.loaded_files(config, users, tls, keys)
    assert found == {
        "/etc/cais/config/server.yaml": hashlib.sha256(
            config["data"]["server.yaml"].encode()
        ).hexdigest(),
        "/etc/cais/tokens/keys": hashlib.sha256(b"").hexdigest(),
        "/etc/cais/users/htpasswd": hashlib.sha256(b"").hexdigest(),
        "/etc/cais/tls/tls.crt": hashlib.sha256(b"LEAF").hexdigest(),
    }
    mounted = {mount["mountPath"] for mount in _container()["volumeMounts"]}
    assert {path.rsplit("/", 1)[0] for path in found} <= mounted


def test_servers_listen_on_ipv6_where_that_is_a_setting_and_their_pods_start_anew() -> None:
    team, six = registry(), replace(SETTINGS, registry_listen="::")
    text = desired.config_map(team, six)["data"]["server.yaml"]
    assert json.loads(text)["listen"] == "[::]:5000"
    assert _config()["listen"] == "0.0.0.0:5000"
    marks = [_pod(settings=one)["metadata"]["annotations"] for one in (SETTINGS, six)]
    assert marks[0] != marks[1]


def test_services_get_addresses_of_both_families_where_that_is_a_setting() -> None:
    assert "ipFamilyPolicy" not in desired.service(registry(), SETTINGS)["spec"]
    both = replace(SETTINGS, ip_family_policy="PreferDualStack")
    assert desired.service(registry(), both)["spec"]["ipFamilyPolicy"] == "PreferDualStack"
