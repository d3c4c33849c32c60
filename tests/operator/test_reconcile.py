# SPDX-License-Identifier: Apache-2.0
import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from cais_operator import errors, names, pki
from cais_operator.desired import authority_secret
from cais_operator.report import events
from operator_builders import NOW, SETTINGS, body, registry, with_users, with_volume
from support.operator_bench import EVERYTHING, KEY, bench, children

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_a_new_registry_gets_every_child_and_a_status() -> None:
    made = bench()
    await made.operator().reconcile(KEY)
    assert children(made) == EVERYTHING
    assert made.condition("Ready")["status"] == "False"
    assert made.status()["clusterIP"] == "10.96.0.7"


async def test_a_look_at_what_is_settled_writes_nothing() -> None:
    made = bench(with_users({"name": "ci"}))
    await made.settle()
    made.cluster.requests.clear()
    for operator in (made.operator(), made.operator()):  # also after a restart
        await operator.reconcile(KEY)
    assert made.cluster.writes == []


async def test_it_is_ready_when_pod_claim_certificate_and_loaded_files_are() -> None:
    made = bench()
    await made.settle()
    made.run_pods()
    await made.operator().reconcile(KEY)
    assert made.condition("Ready")["reason"] == "ConfigurationLoading"
    made.load()
    outcome = await made.operator().reconcile(KEY)
    assert made.condition("Ready")["status"] == "True"
    assert set(made.server.asked) == {"10.96.0.7"}
    assert outcome.after is not None
    assert outcome.after > 0.5 * SETTINGS.resync


async def test_a_server_that_lags_has_its_pod_touched_once_for_the_same_files() -> None:
    made = bench()
    await made.settle()
    made.run_pods()
    labels = names.selector(registry(), names.REGISTRY)
    made.cluster.put({"kind": "Pod", "metadata": {"name": "team-0", "labels": labels}})
    made.cluster.requests.clear()
    for _ in range(2):
        await made.operator().reconcile(KEY)
    assert [one for one in made.cluster.writes if one[1] == "Pod"] == [("patch", "Pod", "team-0")]


@pytest.mark.parametrize(("kind", "name"), sorted(EVERYTHING))
async def test_a_deleted_child_comes_back(kind: str, name: str) -> None:
    made = bench()
    await made.settle()
    del made.cluster.objects[kind, "team-a", name]
    await made.settle()
    assert children(made) == EVERYTHING


async def test_passwords_keys_and_certificates_stay_over_looks_and_restarts() -> None:
    made = bench(with_users({"name": "ci"}))
    await made.settle()
    before = {key: one["data"] for key, one in made.cluster.objects.items() if key[0] == "Secret"}
    for _ in range(3):
        await made.settle()
    after = {key: one["data"] for key, one in made.cluster.objects.items() if key[0] == "Secret"}
    assert after == before


async def test_a_password_that_was_set_by_hand_is_taken_and_its_hash_follows() -> None:
    made = bench()
    await made.settle()
    before = made.text("team-users", "htpasswd")
    data = {"password": base64.b64encode(b"mine").decode()}
    made.cluster.change("Secret", "team-gc", data=data)
    await made.settle()
    assert made.text("team-gc") == "mine"
    assert made.text("team-gc", "credentials") == "cais-gc:mine"
    assert made.text("team-users", "htpasswd") != before


async def test_a_child_of_someone_else_is_left_alone_and_named_in_stalled() -> None:
    made = bench()
    made.cluster.put({"kind": "Secret", "metadata": {"name": "team-admin"}, "data": {"a": "Yg=="}})
    await made.operator().reconcile(KEY)
    assert "team-admin" in made.condition("Stalled")["message"]
    assert [kind for _, kind, _ in made.cluster.writes if kind not in ("Registry", "Event")] == []


async def test_a_paused_registry_is_looked_at_and_not_touched() -> None:
    made = bench({"paused": True})
    await made.operator().reconcile(KEY)
    assert {kind for _, kind, _ in made.cluster.writes} == {"Registry", "Event"}


async def test_a_certificate_that_ends_with_its_ca_is_not_looked_at_again_and_again() -> None:
    made = bench()
    ending = pki.new_authority(name="ends", validity=timedelta(days=20), now=NOW)
    made.cluster.put(authority_secret(SETTINGS, ending))
    await made.settle()
    made.load()
    outcome = await made.operator().reconcile(KEY)
    assert made.condition("Ready")["status"] == "True"
    assert made.status()["certificate"]["renewAt"] < NOW.isoformat()
    assert outcome.after is not None
    assert outcome.after > 0.5 * SETTINGS.resync


async def test_a_registry_that_is_being_deleted_is_left_alone() -> None:
    made = bench()
    made.cluster.change(names.KIND, "team", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    outcome = await made.operator().reconcile(KEY)
    assert outcome.after is None
    assert made.cluster.writes == []


async def test_a_spec_that_cannot_be_read_is_stalled_with_field_value_and_rule() -> None:
    made = bench(with_volume(size="-1Gi"))
    await made.operator().reconcile(KEY)
    message = made.condition("Stalled")["message"]
    assert "spec.storage.volume.size" in message
    assert "-1Gi" in message
    assert "must be a quantity" in message


async def test_what_the_api_server_refuses_is_stalled_with_its_words() -> None:
    made = bench()

    def refuse(verb: str, kind: str, name: str) -> None:
        if (verb, kind) == ("apply", "CronJob"):
            raise errors.Rejected(
                status=422, reason="Invalid", message="spec.timeZone: unknown", subject=name
            )

    made.cluster.before = refuse
    outcome = await made.operator().reconcile(KEY)
    assert "spec.timeZone: unknown" in made.condition("Stalled")["message"]
    assert outcome.after is not None


async def test_events_tell_each_change_of_a_reason_once() -> None:
    made = bench()
    await made.settle()
    await made.settle()
    events = [one for (kind, _, _), one in made.cluster.objects.items() if kind == "Event"]
    words = [(one["reason"], one["message"]) for one in events]
    assert len(words) == len(set(words)) > 0
    assert all(one["type"] == "Normal" for one in events)


def test_a_condition_that_stays_as_it_is_makes_no_event() -> None:
    stays = {"type": "Ready", "status": "True", "reason": "Serving", "message": "other words"}
    comes = {"type": "Stalled", "status": "True", "reason": "InvalidSpec", "message": "why"}
    before = {"conditions": [{**stays, "message": "words"}]}
    made = list(events(body(), before, {"conditions": [stays, comes]}, NOW))
    assert [(one["reason"], one["type"], one["message"]) for one in made] == [
        ("InvalidSpec", "Warning", "why")
    ]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("DiskFull", "Warning"),
        ("QuotaExceeded", "Warning"),
        ("ReadOnly", "Normal"),
        ("Writable", "Normal"),
    ],
)
def test_what_has_no_room_is_a_warning_and_what_was_asked_for_is_none(
    reason: str, kind: str
) -> None:
    is_writable = "True" if reason == "Writable" else "False"
    condition = {"type": "Writable", "status": is_writable, "reason": reason, "message": "why"}
    (event,) = events(body(), {}, {"conditions": [condition]}, NOW)
    assert (event["type"], event["reason"]) == (kind, reason)


def test_the_warning_of_two_conditions_with_the_same_words_is_the_one_that_is_told() -> None:
    words = {"reason": "InvalidSpec", "message": "why"}
    ready = {"type": "Ready", "status": "False", **words}
    stalled = {"type": "Stalled", "status": "True", **words}
    (event,) = events(body(), {}, {"conditions": [ready, stalled]}, NOW)
    assert (event["type"], event["reason"]) == ("Warning", "InvalidSpec")


async def test_no_secret_is_in_status_or_events() -> None:
    made = bench(with_users({"name": "ci"}))
    await made.settle()
    told = json.dumps(
        [one for (kind, _, _), one in made.cluster.objects.items() if kind in ("Event", "Registry")]
    )
    for secret in ("team-admin", "team-gc", "team-pull", "team-user-ci"):
        assert made.text(secret) not in told


async def test_a_service_whose_old_address_is_taken_gets_another() -> None:
    made = bench()
    await made.settle()
    del made.cluster.objects["Service", "team-a", "team"]
    asked: list[str | None] = []
    apply = made.cluster.apply

    async def taken(manifest: dict[str, Any]) -> dict[str, Any]:
        if manifest["kind"] == "Service":
            asked.append(manifest["spec"].get("clusterIP"))
            if len(asked) == 1:
                raise errors.Rejected(status=422, reason="Invalid", message="taken", subject="x")
        return await apply(manifest)

    made.cluster.apply = taken  # type: ignore[method-assign]
    await made.operator().reconcile(KEY)
    assert asked == ["10.96.0.7", None]
    assert "Stalled" not in {one["type"] for one in made.status()["conditions"]}
