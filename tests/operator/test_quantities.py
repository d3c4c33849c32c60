# SPDX-License-Identifier: Apache-2.0
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_operator.resource import Quantity


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("10Gi", "10Gi"),
        ("1024Mi", "1Gi"),
        ("1025Mi", "1025Mi"),
        ("1.5Gi", "1536Mi"),
        ("1024", "1024"),
        ("1000", "1k"),
        ("100000", "100k"),
        ("1500k", "1500k"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("250m", "250m"),
        ("0.1", "100m"),
        ("0", "0"),
        ("0Gi", "0"),
        ("512", "512"),
        ("0.5Ki", "512"),
        ("1.1Gi", "1181116007"),  # rounded up to a byte, as the API server does
        ("3Ei", "3Ei"),
        (2, "2"),
    ],
)
def test_is_written_as_the_api_server_stores_it(written: str | int, canonical: str) -> None:
    assert str(Quantity.parse(written)) == canonical


@pytest.mark.parametrize(
    "text", ["", "-1", "-1Gi", "1 Gi", "1gi", "Gi", "1e3", ".5", "1Zi", "\u0661", "1\n", "1" * 65]
)
def test_what_is_no_quantity_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(ValueError, match="must be a quantity such as 10Gi"):
        Quantity.parse(text)


@given(st.integers(0, 2**60), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]))
def test_the_canonical_form_is_its_own_canonical_form(number: int, suffix: str) -> None:
    once = Quantity.parse(f"{number}{suffix}")
    again = Quantity.parse(str(once))
    assert again.amount == once.amount
    assert str(again) == str(once)


def test_quantities_compare_by_amount() -> None:
    assert Quantity.parse("1Gi") > Quantity.parse("1G") > Quantity.parse("1000k")
    assert Quantity.parse("1.5Gi").amount == Decimal(1536 * 1024 * 1024)


def test_equal_amounts_are_equal_however_they_are_written() -> None:
    assert Quantity.parse("20Gi") == Quantity.parse("21474836480") == Quantity.parse("20480Mi")
    assert not Quantity.parse("10737418240") < Quantity.parse("10Gi")
