# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import yaml

from support.apiserver import wait_for
from support.children import CHILDREN
from support.operators import Place, log_lines, operator

REPOSITORY = Path(__file__).parents[3]


def test_the_sample_gets_every_child_and_is_then_left_in_peace(
    place: Place, tmp_path: Path
) -> None:
    samples = yaml.safe_load_all((REPOSITORY / "manifests/samples/registry.yaml").read_text())
    sample = next(one for one in samples if one["kind"] == "Registry")
    with operator(place, tmp_path, "--resync=1") as running:
        place.create_registry(sample["spec"])
        place.wait_complete()
        running.wait_looked_again(3)
        written = len(place.writes())
        place.wait_looked_again(2)
        running.wait_looked_again(6)
        assert place.writes()[written:] == []
        assert running.fetch("/healthz") == (200, "ok\n")
        assert running.fetch("/readyz") == (200, "ok\n")
    lines = log_lines(running)
    assert {line["level"] for line in lines} <= {"info", "warning"}


def test_no_secret_is_in_log_events_status_or_command_line(place: Place, tmp_path: Path) -> None:
    with operator(place, tmp_path) as running:
        place.create_registry()
        place.wait_complete()
        told = "".join(
            (
                running.log.read_text(),
                str(place.all("Event")),
                str(place.get("Registry", "team")),
                " ".join(running.arguments),
            )
        )
    for secret in ("team-admin", "team-gc", "team-pull"):
        assert place.secret(secret) not in told
    assert "PRIVATE KEY" not in told


def test_events_say_what_happened(place: Place, tmp_path: Path) -> None:
    with operator(place, tmp_path):
        place.create_registry()
        events = wait_for(lambda: place.all("Event"), "an Event")
    about = {one["involvedObject"]["name"] for one in events}
    assert about == {"team"}
    assert all(one["message"] and one["reason"] for one in events)


def test_an_operator_that_is_asked_to_stop_lets_the_lease_go(place: Place, tmp_path: Path) -> None:
    with operator(place, tmp_path) as running:
        wait_for(running.leads, "the operator leads")
        running.process.terminate()
        assert running.process.wait(30) == 0
    lease = place.get("Lease", "cais-operator", place.system)
    assert lease is not None
    assert not lease["spec"].get("holderIdentity")


def test_material_survives_restarts(place: Place, tmp_path: Path) -> None:
    place.create_registry({"access": {"users": [{"name": "ci"}]}})
    with operator(place, tmp_path, "--no-leader-elect"):
        place.wait_complete()
        before = place.material() | {"ci": place.secret("team-user-ci")}
    with operator(place, tmp_path, "--no-leader-elect", "--resync=1") as again:
        wait_for(again.leads, "the second operator works")
        again.wait_looked_again(3)
        assert place.material() | {"ci": place.secret("team-user-ci")} == before


def test_deleting_a_registry_keeps_its_claim_and_a_new_one_takes_it_back(
    place: Place, tmp_path: Path
) -> None:
    kept = [one for one in CHILDREN if one[0] != "PersistentVolumeClaim"]
    with operator(place, tmp_path):
        place.create_registry({"storage": {"volume": {"size": "20Gi"}}})
        place.wait_complete()
        before = place.get("PersistentVolumeClaim", "team-data")
        place.delete("Registry", "team")
        wait_for(
            lambda: not [one for one in kept if place.get(*one)], "the garbage collector is done"
        )
        place.create_registry()  # its size is the default, which is less than what is there
        place.wait_complete()
        after = place.get("PersistentVolumeClaim", "team-data")
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["resources"]["requests"]["storage"] == "20Gi"


def test_onDelete_Delete_takes_the_claim_along(place: Place, tmp_path: Path) -> None:  # noqa: N802 - the field's name
    with operator(place, tmp_path):
        place.create_registry({"storage": {"volume": {"onDelete": "Delete"}}})
        place.wait_complete()
        place.delete("Registry", "team")

        def gone() -> bool:
            claim = place.get("PersistentVolumeClaim", "team-data")
            return claim is None or "deletionTimestamp" in claim["metadata"]

        wait_for(gone, "the claim is deleted")
