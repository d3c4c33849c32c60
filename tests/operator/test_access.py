# SPDX-License-Identifier: Apache-2.0
"""From a RegistryAccess to a Secret that works, and back to nothing."""

import base64
import json
from typing import Any

import pytest

from cais_operator import names
from cais_operator.resource import Key
from cais_operator.settings import Settings
from support.access_bench import ACCESS, ALLOWED, USER, access_bench

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_what_is_allowed_becomes_an_account_a_rule_and_a_secret() -> None:
    made = access_bench(serviceAccounts=["default"])
    made.put_puller("default", "theirs")
    await made.settle_both()
    assert made.takes(made.password())
    assert made.rules() == [{"users": [USER], "repositories": ["apps/web/**"], "actions": ["pull"]}]
    secret = made.secret()
    assert secret is not None
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "uid-of-web"
    assert made.text("registry", "ca.crt", "team-b") == made.text("team-tls", "ca.crt")
    assert made.pulls("default") == ["theirs", "registry"]
    assert (made.said()["status"], made.said()["reason"]) == ("True", "Granted")
    assert "apps/web/**" in made.said()["message"]


async def test_the_secret_is_written_only_when_the_server_takes_the_password() -> None:
    made = access_bench()
    await made.turn()
    made.run_pods()
    await made.turn()
    assert made.account() is not None
    assert made.secret() is None
    assert (made.said()["reason"], made.said("Reconciling")["status"]) == ("AccountPending", "True")
    made.load()
    await made.turn()
    assert made.secret() is not None


async def test_a_registry_without_tls_has_no_ca_to_trust() -> None:
    made = access_bench()
    made.cluster.change(names.KIND, "team", spec={"tls": {"disabled": {}}})
    await made.settle_both()
    assert made.said()["status"] == "True"
    assert "ca.crt" not in (made.secret() or {})["data"]


async def test_a_look_at_what_is_settled_writes_nothing() -> None:
    made = access_bench(serviceAccounts=["default"])
    made.put_puller("default")
    await made.settle_both()
    made.cluster.requests.clear()
    await made.turn()
    assert made.cluster.writes == []


async def test_no_foreign_secret_is_listed_and_none_is_read_but_by_the_name_that_is_asked() -> None:
    made = access_bench()
    made.cluster.put({"kind": "Secret", "metadata": {"name": "theirs", "namespace": "team-b"}})
    await made.settle_both()
    asked = [one for one in made.cluster.requests if one[1] == "Secret"]
    assert all(names.CHILDREN in name for verb, _, name in asked if verb == "list")
    assert "theirs" not in {name for _, _, name in asked}


@pytest.mark.parametrize(
    "consumers", [(), ({**ALLOWED, "namespaceSelector": {"matchLabels": {"a": "b"}}},)]
)
async def test_who_is_not_selected_gets_nothing_and_hears_nothing(
    consumers: tuple[dict[str, Any], ...],
) -> None:
    made = access_bench()
    made.cluster.change(names.KIND, "team", spec={"consumers": list(consumers)})
    await made.settle_both()
    assert (made.account(), made.secret(), made.rules()) == (None, None, [])
    told = made.said()
    made.put_access(registryRef={"name": "nothing", "namespace": "team-a"})
    await made.settle_both()
    assert made.said()["message"] == told["message"].replace("team-a/team", "team-a/nothing")
    assert made.said()["reason"] == told["reason"] == "RegistryUnavailable"
    assert made.said("Reconciling")["status"] == "True"


async def test_asking_for_another_tenants_repository_is_refused_as_a_whole() -> None:
    made = access_bench(repositories=["apps/web", "payroll/**"])
    await made.settle_both()
    assert (made.account(), made.secret(), made.rules()) == (None, None, [])
    assert made.said("Stalled")["reason"] == "NotAllowed"
    assert 'spec.repositories[1] is "payroll/**"' in made.said()["message"]
    assert "allowed is: pull, push in apps/**" in made.said()["message"]


async def test_labels_of_the_namespace_decide_at_once() -> None:
    made = access_bench({**ALLOWED, "namespaceSelector": {"matchLabels": {"tier": "web"}}})
    await made.settle_both()
    assert made.said()["reason"] == "RegistryUnavailable"
    made.labels["team-b"] = {"tier": "web"}
    await made.settle_both()
    password = made.password()
    made.labels["team-b"] = {}
    await made.turn()
    assert not made.takes(password)
    assert made.rules() == []


async def test_a_selector_of_what_is_not_there_waits_until_the_namespace_was_seen() -> None:
    untrusted = {"key": "untrusted", "operator": "DoesNotExist"}
    made = access_bench({**ALLOWED, "namespaceSelector": {"matchExpressions": [untrusted]}})
    await made.settle_both()
    assert (made.account(), made.said()["reason"]) == (None, "RegistryUnavailable")
    assert made.said("Reconciling")["status"] == "True"
    made.labels["team-b"] = {}
    await made.settle_both()
    assert made.said()["status"] == "True"


async def test_access_ends_with_the_registryaccess_also_when_nobody_was_there_to_see_it() -> None:
    made = access_bench(serviceAccounts=["default", "builder"])
    made.put_puller("default", "theirs")
    made.put_puller("builder")
    await made.settle_both()
    password = made.password()
    made.drop_access()  # and every `turn` is an operator that was started just now
    await made.turn()
    assert not made.takes(password)
    assert (made.account(), made.rules(), made.secret()) == (None, [], None)
    assert (made.pulls("default"), made.pulls("builder")) == (["theirs"], [])
    for name in ("default", "builder"):
        metadata = made.cluster.objects["ServiceAccount", "team-b", name]["metadata"]
        assert not metadata["labels"]
        assert not metadata["annotations"]


async def test_what_another_access_added_to_a_service_account_stays() -> None:
    made = access_bench(serviceAccounts=["default"])
    made.put_access(name="api", uid="uid-of-api", secretName="api", serviceAccounts=["default"])
    made.put_puller("default")
    both = (ACCESS, Key("team-b", "api"))
    await made.settle_both(*both)
    assert made.pulls("default") == ["registry", "api"]
    made.drop_access()
    await made.turn(*both)
    assert made.pulls("default") == ["api"]


async def test_a_name_that_stood_in_a_service_account_before_stays_there() -> None:
    made = access_bench(serviceAccounts=["default"])
    made.put_puller("default", "registry")
    await made.settle_both()
    made.drop_access()
    await made.turn()
    assert made.pulls("default") == ["registry"]


async def test_service_accounts_of_other_namespaces_are_out_of_reach() -> None:
    made = access_bench(serviceAccounts=["robot"])
    made.put_puller("robot", namespace="team-a")
    await made.settle_both()
    assert made.pulls("robot", "team-a") == []
    assert made.said()["reason"] == "ServiceAccountMissing"
    assert "robot" in made.said()["message"]
    made.put_access(serviceAccounts=["team-a/robot"], generation=2)
    await made.settle_both()
    assert made.pulls("robot", "team-a") == []
    assert made.said("Stalled")["reason"] == "InvalidSpec"


async def test_a_service_account_that_comes_later_is_served_then() -> None:
    made = access_bench(serviceAccounts=["late"])
    await made.settle_both()
    _, consumer = made.both()
    after = await consumer.reconcile(ACCESS)
    assert after is not None
    assert after <= 10
    made.put_puller("late")
    await made.turn()
    assert made.pulls("late") == ["registry"]
    assert made.said()["status"] == "True"


async def test_an_access_made_anew_gets_a_new_password_and_the_old_one_ends() -> None:
    made = access_bench()
    await made.settle_both()
    old = made.password()
    made.put_access(uid="another")  # its Secret still belongs to the one before
    await made.settle_both()
    assert made.password() != old
    assert not made.takes(old)
    assert (made.secret() or {})["metadata"]["ownerReferences"][0]["uid"] == "another"


async def test_a_narrowed_rule_is_ready_only_when_the_server_has_it() -> None:
    made = access_bench()
    await made.settle_both()
    made.put_access(repositories=["apps/web/one"], generation=2)
    await made.turn()
    assert made.said()["reason"] == "RuleLoading"
    await made.settle_both()
    assert made.said()["status"] == "True"
    assert made.rules()[0]["repositories"] == ["apps/web/one"]


async def test_a_registry_that_is_deleted_takes_the_access_with_it() -> None:
    made = access_bench()
    await made.settle_both()
    del made.cluster.objects[names.KIND, "team-a", "team"]
    await made.turn()
    assert made.said()["reason"] == "RegistryUnavailable"


async def test_a_foreign_secret_in_the_place_of_the_accounts_stops_the_registry() -> None:
    made = access_bench()
    made.cluster.put({"kind": "Secret", "metadata": {"name": "team-access"}, "data": {"a": "Yg=="}})
    await made.settle_both()
    assert "team-access" in made.condition("Stalled")["message"]
    assert made.secret() is None


async def test_an_operator_of_named_namespaces_reads_no_labels_and_says_so() -> None:
    made = access_bench({**ALLOWED, "namespaceSelector": {"matchLabels": {"tier": "web"}}})
    made.settings = Settings(namespaces=("team-a", "team-b"))
    await made.settle_both()
    assert "spec.consumers[0].namespaceSelector" in made.condition("Stalled")["message"]
    assert "may not read the labels" in made.condition("Stalled")["message"]
    made.cluster.change(names.KIND, "team", spec={"consumers": [ALLOWED]})
    await made.settle_both()
    assert made.said()["status"] == "True"


async def test_a_registry_outside_of_the_named_namespaces_is_not_asked_for() -> None:
    made = access_bench()
    made.settings = Settings(namespaces=("team-b",))
    _, consumer = made.both()
    made.cluster.requests.clear()
    await consumer.reconcile(ACCESS)
    assert made.said()["reason"] == "RegistryUnavailable"
    assert names.KIND not in {kind for _, kind, _ in made.cluster.requests}


async def test_no_password_is_in_status_or_events() -> None:
    made = access_bench(rotation={"every": "24h", "overlap": "1h"})
    await made.settle_both()
    passwords = [made.password()]
    made.later(hours=25)
    await made.settle_both()
    passwords.append(made.password())
    kinds = ("Event", names.KIND, names.ACCESS_KIND)
    told = json.dumps([one for (kind, _, _), one in made.cluster.objects.items() if kind in kinds])
    for password in passwords:
        assert password not in told
        assert base64.b64encode(password.encode()).decode() not in told
