# SPDX-License-Identifier: Apache-2.0
from cais_operator import names
from cais_operator.resource import User
from operator_builders import registry, with_users, with_volume


def test_children_are_named_after_their_registry() -> None:
    team = registry()
    assert {
        "service": names.service(team),
        "deployment": names.deployment(team),
        "account": names.service_account(team),
        "policy": names.network_policy(team),
        "claim": names.claim(team),
        "tls": names.tls_secret(team),
        "admin": names.admin_secret(team),
        "gc": names.gc_secret(team),
        "pull": names.pull_secret(team),
        "users": names.users_secret(team),
        "keys": names.token_keys_secret(team),
        "config": names.config_map(team),
        "ca": names.ca_config_map(team),
        "cron": names.cron_job(team),
        "user": names.user_secret(team, User(name="ci")),
    } == {
        "service": "team",
        "deployment": "team",
        "account": "team",
        "policy": "team",
        "claim": "team-data",
        "tls": "team-tls",
        "admin": "team-admin",
        "gc": "team-gc",
        "pull": "team-pull",
        "users": "team-users",
        "keys": "team-token-keys",
        "config": "team-config",
        "ca": "team-ca",
        "cron": "team-gc",
        "user": "team-user-ci",
    }


def test_an_existing_claim_and_a_given_secret_keep_their_names() -> None:
    spec = with_users({"name": "ci", "passwordSecretRef": {"name": "mine"}})
    team = registry(spec | with_volume(existingClaim="old"))
    assert names.claim(team) == "old"
    assert names.user_secret(team, team.spec.access.users[0]) == "mine"


def test_no_label_of_a_user_is_in_a_selector() -> None:
    team = registry({"pod": {"labels": {"team": "a"}}})
    assert names.selector(team, "registry") == {
        "app.kubernetes.io/name": "cais-registry",
        "app.kubernetes.io/instance": "team",
        "app.kubernetes.io/component": "registry",
    }


def test_children_carry_the_label_that_the_watches_select() -> None:
    key, value = names.CHILDREN.split("=")
    assert names.labels(registry(), "registry", "1.2.3")[key] == value


def test_hosts_are_the_service_names_the_addresses_and_what_the_spec_adds() -> None:
    team = registry({"expose": {"hostnames": ["registry.example.com"]}})
    assert names.hosts(team, ("10.96.0.9", "fd00::9"), "cluster.local") == names.Hosts(
        dns=(
            "team.team-a.svc",
            "team.team-a.svc.cluster.local",
            "team.team-a",
            "registry.example.com",
        ),
        ips=("10.96.0.9", "fd00::9"),
    )


def test_addresses_are_what_an_image_reference_may_start_with() -> None:
    team = registry({"expose": {"hostnames": ["registry.example.com"]}})
    hosts = names.hosts(team, ("10.96.0.9", "fd00::9"), "cluster.local")
    assert names.addresses(team, hosts, 30500) == (
        "team.team-a.svc:5000",
        "team.team-a.svc.cluster.local:5000",
        "team.team-a:5000",
        "registry.example.com:5000",
        "10.96.0.9:5000",
        "[fd00::9]:5000",
        "registry.example.com:30500",
        "registry.example.com",
    )
