# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cais_registry.app import certificates
from cais_registry.app.certificates import Pair, Validity
from cais_registry.app.notices import KEPT_SECONDS, Notices
from cais_registry.http import warnings
from cais_registry.model.space import Space

DAY = 86400.0
NOW = 1_800_000_000.0


def space(available: int) -> Space:
    return Space(capacity=1000, available=available)


class Place:
    """What notices look at; how often they do so is counted."""

    def __init__(self) -> None:
        self.now = NOW
        self.space: Space | None = space(500)
        self.valid: Validity | None = None
        self.error: str | None = None
        self.looks = 0

    def notices(self) -> Notices:
        return Notices(
            space=self._space,
            validity=self.valid,
            error=lambda: self.error,
            clock=lambda: self.now,
        )

    def _space(self) -> Space | None:
        self.looks += 1
        return self.space


def test_there_is_nothing_to_tell_while_all_is_well() -> None:
    place = Place()
    place.valid = Validity(begin=NOW - 60 * DAY, end=NOW + 30 * DAY)
    assert place.notices()() == ()
    place.space = None
    assert place.notices()() == ()


@pytest.mark.parametrize(("available", "is_told"), [(101, False), (100, False), (99, True)])
def test_a_volume_with_less_than_a_tenth_free_is_told(available: int, *, is_told: bool) -> None:
    place = Place()
    place.space = space(available)
    assert (place.notices()() != ()) is is_told
    assert all("9% are free" in text for text in place.notices()())


@pytest.mark.parametrize(
    ("left", "says"), [(10 * DAY, None), (8 * DAY, "expires soon"), (-1.0, "has expired")]
)
def test_a_certificate_in_the_last_tenth_of_its_life_is_told(left: float, says: str | None) -> None:
    place = Place()
    place.valid = Validity(begin=NOW + left - 90 * DAY, end=NOW + left)
    found = place.notices()()
    assert len(found) == (says is not None)
    assert says is None or says in found[0]


def test_a_changed_file_that_is_not_taken_is_told_without_its_name() -> None:
    place = Place()
    place.error = "/etc/cais/users: line 1: not a hash"
    (text,) = place.notices()()
    assert "changed file" in text
    assert "/etc" not in text


def test_it_is_looked_at_again_after_some_seconds_only() -> None:
    place = Place()
    notices = place.notices()
    for _ in range(1000):
        assert notices() == ()
    place.space = space(1)
    assert (notices(), place.looks) == ((), 1)
    place.now += KEPT_SECONDS
    assert len(notices()) == 1
    place.now -= DAY  # a clock that was set back does not stop the looking
    place.space = space(500)
    assert notices() == ()


def test_warnings_are_quoted_and_bounded() -> None:
    assert warnings.headers([]) == ()
    assert warnings.headers(['say "\\"']) == (("Warning", '299 - "say \\"\\\\\\""'),)
    many = warnings.headers(["x" * 1000] * 10)
    assert len(many) == 4
    assert sum(len(value) for _, value in many) <= warnings.MOST_BYTES


def issue(begin: datetime, end: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Pair(
        certificate=certificate.public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


@pytest.mark.parametrize("days", [-30, -1, 10])
def test_how_long_a_certificate_is_good_is_known_also_when_it_is_over(days: int) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    begin = end - timedelta(days=90)
    found = certificates.validity(issue(begin, end))
    assert found == Validity(begin=begin.timestamp(), end=end.timestamp())
