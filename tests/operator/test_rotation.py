# SPDX-License-Identifier: Apache-2.0
from datetime import timedelta
from typing import Any

import pytest

from cais_operator import names, pki, rotation
from cais_operator.certificates import authority_from, bundle
from cais_operator.desired import authority_secret
from cais_operator.rotation import Phase
from operator_builders import NOW, SETTINGS, authority, encoded

NEW = pki.new_authority(name="new", validity=timedelta(days=3650), now=NOW)
OTHER = pki.new_authority(name="other", validity=timedelta(days=30), now=NOW)


def steady() -> dict[str, Any]:
    return authority_secret(SETTINGS, authority())


def test_each_phase_is_read_back_as_it_was_written() -> None:
    first = steady()
    begun = rotation.begun(first, NEW, NOW)
    switched = rotation.switched(begun, NOW)
    finished = rotation.finished(switched)
    found = [rotation.read(one).phase for one in (first, begun, switched, finished)]
    assert found == [Phase.STEADY, Phase.PUBLISHING, Phase.REPLACING, Phase.STEADY]
    assert rotation.read(begun).since == NOW
    assert first["data"].keys() == finished["data"].keys()


def test_the_bundle_has_both_while_they_change_places_and_the_signing_one_first() -> None:
    begun = rotation.begun(steady(), NEW, NOW)
    switched = rotation.switched(begun, NOW)
    old, new = authority().certificate, NEW.certificate
    assert authority_from(begun).bundle == old + new
    assert authority_from(switched).bundle == new + old
    assert authority_from(rotation.finished(switched)).bundle == new


def test_the_old_private_key_is_gone_as_soon_as_the_new_ca_signs() -> None:
    switched = rotation.switched(rotation.begun(steady(), NEW, NOW), NOW)
    assert encoded(authority().key) not in switched["data"].values()
    assert authority_from(switched).former_marks == pki.fingerprint_key(authority())


def test_certificates_that_a_person_has_added_to_the_bundle_stay() -> None:
    first = steady()
    first["data"]["ca.crt"] = encoded(authority().certificate + OTHER.certificate)
    switched = rotation.switched(rotation.begun(first, NEW, NOW), NOW)
    after = authority_from(rotation.finished(switched))
    assert after.bundle == bundle(NEW.certificate, OTHER.certificate)


@pytest.mark.parametrize("text", ["soon", "2026-03-01T12:00:00"])
def test_a_time_that_cannot_be_read_is_none(text: str) -> None:
    begun = rotation.begun(steady(), NEW, NOW)
    begun["metadata"]["annotations"][names.ROTATION_SETTLED] = text
    assert rotation.read(begun).settled is None


def test_a_ca_is_due_before_its_end_and_a_short_one_in_its_last_third() -> None:
    end = NOW + timedelta(days=3650)
    assert rotation.due(NEW, timedelta(days=365)) == end - timedelta(days=365)
    left = NOW + timedelta(days=30) - rotation.due(OTHER, timedelta(days=365))
    assert timedelta(days=10) <= left < timedelta(days=11)


ROTATE, NOTE, SINCE = names.ROTATE, names.ROTATION, names.ROTATION_SINCE


@pytest.mark.parametrize(
    ("before", "after", "meaning"),
    [
        (None, {}, (True, True)),
        ({}, {}, (True, True)),  # its data, or something that is not known
        ({}, {NOTE: "waits"}, (False, False)),
        ({NOTE: "waits"}, {NOTE: "waits still", names.ROTATION_SETTLED: "x"}, (False, False)),
        ({}, {ROTATE: "now"}, (True, False)),
        ({ROTATE: "now"}, {SINCE: "x", NOTE: "begins"}, (True, True)),
        ({SINCE: "x", NOTE: "ends"}, {}, (True, True)),
    ],
)
def test_only_what_registries_need_makes_them_be_looked_at(
    before: dict[str, str] | None, after: dict[str, str], meaning: tuple[bool, bool]
) -> None:
    def metadata(annotations: dict[str, str]) -> dict[str, Any]:
        return {"metadata": {"uid": "one", "annotations": annotations}}

    old = None if before is None else metadata(before)
    assert rotation.meaning(old, metadata(after)) == meaning
    another = {"metadata": {"uid": "another", "annotations": after}}
    assert rotation.meaning(metadata(after), another) == (True, True)
