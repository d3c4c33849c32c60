# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from support.apiserver import wait_for
from support.operators import Place, operator


def test_of_two_operators_one_leads_and_the_other_takes_over_when_it_is_killed(
    place: Place, tmp_path: Path
) -> None:
    with operator(place, tmp_path) as one:
        wait_for(one.leads, "the first operator leads")
        with operator(place, tmp_path) as other:
            wait_for(lambda: other.fetch("/readyz")[0] == 200, "the second one stands by")
            place.create_registry()
            place.wait_complete()
            assert other.reconciles() == 0
            assert not other.leads()
            before = place.material()
            one.process.kill()
            one.process.wait()
            place.delete("Service", "team")
            wait_for(other.leads, "the second operator leads")
            wait_for(lambda: place.get("Service", "team"), "the Service is back")
            assert place.material() == before


def test_an_operator_whose_lease_is_taken_stops(place: Place, tmp_path: Path) -> None:
    with operator(place, tmp_path) as running:
        wait_for(running.leads, "the operator leads")
        thief = {"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 3600}}
        place.api.merge(place.path("Lease", "cais-operator", place.system), thief)
        assert running.process.wait(60) == 1
    lease = place.get("Lease", "cais-operator", place.system)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "thief"
