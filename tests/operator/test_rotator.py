# SPDX-License-Identifier: Apache-2.0
from datetime import timedelta

import pytest

from cais_operator import names, pki
from cais_operator.certificates import is_signed_by
from cais_operator.material import AUTHORITY_VALIDITY
from cais_operator.rotator import AT_ONCE
from operator_builders import NOW, encoded
from support.rotation_bench import CA, OVERLAP, Installation, installation, split, trusts

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_a_rotation_leaves_no_client_behind_and_nothing_of_the_old_ca() -> None:
    made = await installation("other", "third")
    old, before = made.ca("tls.crt"), made.now
    made.ask()
    operator = made.start()
    await made.round(operator)
    await made.until(operator, "Replacing")
    new = made.ca("tls.crt")
    assert split(made.ca("ca.crt")) == [new, old]
    await made.until(operator, "Steady")
    await made.round(operator)
    assert made.left_behind == []
    assert made.authorities == {old, new}
    assert all(is_signed_by(leaf, new) for leaf in made.served.values())
    assert {made.bundle(name) for name in made.running} == {new}
    assert set(made.cluster.objects[CA]["data"]) == {"tls.crt", "tls.key", "ca.crt"}
    assert not made.cluster.objects[CA]["metadata"]["annotations"]
    assert made.now - before >= 2 * OVERLAP
    assert made.text("team-tls", "ca.crt") == new


async def test_both_cas_are_published_for_the_overlap_before_and_after() -> None:
    made = await installation("other")
    made.ask()
    operator = made.start()
    await made.until(operator, "Publishing")
    await made.until(operator, "Replacing")
    _, switched = made.began
    for published in made.published.values():
        when = next(when for when, text in published if len(split(text)) > 1)
        assert switched - when >= OVERLAP
    await made.until(operator, "Steady")
    assert made.began[-1] - made.last_change >= OVERLAP
    assert made.left_behind == []


async def test_a_registry_that_does_not_publish_the_new_ca_holds_everything_back() -> None:
    made = await installation("other")
    made.cluster.change(names.KIND, "other", spec={"paused": True})
    made.ask()
    operator = made.start()
    for _ in range(20):
        await made.round(operator)
    assert made.phase() == "Publishing"
    assert "waiting for 1: team-a/other (spec.paused)" in made.note(names.ROTATION)
    assert b"cais_ca_rotation_waiting_registries 1.0" in operator.metrics.text()
    assert b'cais_ca_rotation_phase{phase="Publishing"} 1.0' in operator.metrics.text()
    made.cluster.change(names.KIND, "other", spec={"paused": False})
    since = made.now
    await made.until(operator, "Replacing")
    assert made.now - since >= OVERLAP
    await made.until(operator, "Steady")
    assert made.left_behind == []


async def test_a_server_that_does_not_take_its_certificate_keeps_the_old_ca_trusted() -> None:
    made = await installation("other")
    old = made.ca("tls.crt")
    made.stuck = {"other"}
    made.ask()
    operator = made.start()
    await made.until(operator, "Publishing")
    await made.until(operator, "Replacing")
    for _ in range(20):
        await made.round(operator)
    assert made.phase() == "Replacing"
    why = "team-a/other (its server does not serve the new certificate yet)"
    assert made.note(names.ROTATION).endswith(f"waiting for 1: {why}")
    assert is_signed_by(made.text("other-tls", "tls.crt"), made.ca("tls.crt"))
    assert trusts(made.bundle(), old)
    made.stuck = set()
    await made.until(operator, "Steady")
    assert made.left_behind == []


async def test_a_server_that_falls_back_to_the_old_certificate_begins_the_wait_anew() -> None:
    made = await installation()
    old_leaf = made.served[made.address("team")]
    made.ask()
    operator = made.start()
    await made.until(operator, "Publishing")
    await made.until(operator, "Replacing")
    while not made.note(names.ROTATION_SETTLED):
        await made.round(operator)
    made.served[made.address("team")] = old_leaf
    made.stuck = {"team"}
    await made.round(operator)
    assert not made.note(names.ROTATION_SETTLED)
    made.stuck = set()
    again = made.now
    await made.until(operator, "Steady")
    assert made.now - again >= OVERLAP


async def test_a_server_that_is_silent_for_a_moment_holds_back_and_begins_nothing_anew() -> None:
    made = await installation()
    made.ask()
    operator = made.start()
    await made.until(operator, "Publishing")
    await made.until(operator, "Replacing")
    while not made.note(names.ROTATION_SETTLED):
        await made.round(operator)
    settled = made.note(names.ROTATION_SETTLED)
    leaf = made.served.pop(made.address("team"))
    made.stuck = {"team"}
    made.now += 2 * OVERLAP
    await made.round(operator, loads=False)
    assert made.phase() == "Replacing"
    assert "does not answer a TLS handshake" in made.note(names.ROTATION)
    assert made.note(names.ROTATION_SETTLED) == settled
    made.served[made.address("team")] = leaf
    await made.round(operator)
    assert made.phase() == "Steady"


async def test_a_few_change_at_a_time_and_one_that_does_not_run_holds_nobody_up() -> None:
    made = await installation(*(f"r{number}" for number in range(3 * AT_ONCE)))
    made.cluster.change("Deployment", "r0", status={"availableReplicas": 0})
    made.running.remove("r0")
    del made.served[made.address("r0")]
    made.ask()
    operator = made.start()
    await made.until(operator, "Publishing")
    await made.until(operator, "Steady")
    assert made.most_at_once == AT_ONCE
    assert is_signed_by(made.text("r0-tls", "tls.crt"), made.ca("tls.crt"))
    assert made.left_behind == []


async def test_a_registry_of_any_moment_is_made_with_what_all_clients_have() -> None:
    made = await installation()
    made.ask()
    operator = made.start()
    for name in ("Publishing", "Replacing"):
        await made.until(operator, name)
        made.add(name.lower())
        await made.round(operator)
        made.run_pods(name.lower())
        made.running.append(name.lower())
        made.load()
    assert is_signed_by(made.served[made.address("replacing")], made.ca("tls.crt"))
    await made.until(operator, "Steady")
    assert made.left_behind == []


async def test_no_password_is_hashed_again_for_a_new_ca() -> None:
    made = await installation()
    htpasswd, marks = made.text("team-users", "htpasswd"), made.text("team-users", "fingerprints")
    made.ask()
    operator = made.start()
    await made.until(operator, "Publishing")
    await made.until(operator, "Steady")
    assert made.text("team-users", "htpasswd") == htpasswd
    assert made.text("team-users", "fingerprints") != marks


async def test_the_ca_is_replaced_by_itself_a_year_before_its_end() -> None:
    made = await installation()
    operator = made.start()
    made.now = NOW + AUTHORITY_VALIDITY - timedelta(days=366)
    await made.round(operator)
    assert made.phase() == "Steady"
    made.now += timedelta(days=2)
    await made.round(operator)
    assert made.phase() == "Publishing"
    await made.until(operator, "Steady")
    await made.round(operator)
    assert made.phase() == "Steady"  # and not at once again
    assert len(made.authorities) == 2


async def test_a_ca_that_has_ended_is_replaced_without_waiting() -> None:
    made = await installation("held")
    made.cluster.change(names.KIND, "held", spec={"paused": True})
    made.now = NOW + AUTHORITY_VALIDITY + timedelta(days=1)
    operator = made.start()
    for _ in range(4):
        await operator.rotator.step()
    assert made.phase() == "Steady"
    assert len(made.authorities) == 2


async def test_one_whose_certificate_has_ended_is_not_waited_for() -> None:
    made = await installation("held")
    made.cluster.change(names.KIND, "held", spec={"paused": True})
    made.now += timedelta(days=91)
    made.ask()
    operator = made.start()
    await made.until(operator, "Publishing")
    await made.until(operator, "Steady")


async def test_an_annotation_with_another_word_or_at_another_time_is_told_and_taken_off() -> None:
    made = await installation()
    operator = made.start()
    made.ask("tomorrow")
    await made.round(operator)
    assert made.phase() == "Steady"
    made.ask()
    await made.round(operator)
    made.ask()
    await made.round(operator)
    assert made.note(names.ROTATE) == ""
    events = [live for kind, live in made.cluster.objects.items() if kind[0] == "Event"]
    told = [live["message"] for live in events if live["reason"] == "AnnotationInvalid"]
    assert told[0] == "annotation cais.dev/rotate is 'tomorrow'; allowed is: now"
    assert "replaced already" in told[1]
    assert len(made.authorities) == 2


def put(made: Installation, **texts: str) -> None:
    live = made.cluster.objects[CA]
    live["data"] |= {key.replace("_", "."): encoded(text) for key, text in texts.items()}
    made.cluster.put(live)


async def test_a_ca_that_a_person_brings_is_taken_and_a_bad_one_is_not() -> None:
    made = await installation()
    mine = pki.new_authority(name="mine", validity=timedelta(days=900), now=NOW)
    put(made, next_crt=mine.certificate, next_key=made.ca("tls.key"))
    operator = made.start()
    for _ in range(3):
        await made.round(operator)
    assert split(made.bundle()) == [made.ca("tls.crt")]
    events = [live for kind, live in made.cluster.objects.items() if kind[0] == "Event"]
    (told,) = {one["message"] for one in events if one["reason"] == "AuthorityRotationRefused"}
    assert told.endswith("the CA Secret's next.key does not belong to its next.crt")
    put(made, next_key=mine.key)
    await made.until(operator, "Replacing")
    assert made.ca("tls.crt") == mine.certificate
    await made.until(operator, "Steady")
    await made.round(operator)
    assert made.bundle() == mine.certificate
    assert made.left_behind == []


async def test_people_read_in_the_registry_how_it_stands() -> None:
    made = await installation()
    made.ask()
    operator = made.start()
    said = set()
    await made.until(operator, "Publishing")
    while made.phase() != "Steady":
        await made.round(operator)
        message = made.condition("CertificateReady")["message"]
        said.add(message.partition("; ")[2])
    await made.round(operator)
    assert {text.partition(",")[0] for text in said if text} == {
        "a new CA is published beside the old one",
        "its CA is being replaced",
        "it is of the new CA",
    }
    assert "CA" not in made.condition("CertificateReady")["message"]


async def test_without_a_rotation_a_step_writes_nothing() -> None:
    made = await installation()
    before = len(made.cluster.writes)
    for _ in range(3):
        await made.start().rotator.step()
    assert len(made.cluster.writes) == before
