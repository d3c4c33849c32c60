# SPDX-License-Identifier: Apache-2.0
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_operator.node_trust.entries import Entry, decode, encode
from operator_builders import authority

BUNDLE = authority().bundle


def entry(name: str = "team", **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "namespace": "team-a",
        "name": name,
        "addresses": ("10.96.7.7",),
        "port": 5000,
        "authority": BUNDLE,
    }
    return Entry(**(fields | changes))


def test_what_is_written_is_read_again_and_one_authority_is_written_once() -> None:
    entries = (
        entry(),
        entry("other", addresses=("10.96.7.8", "fd00::8")),
        entry("plain", scheme="http", authority=""),
        entry("known", authority=""),
    )
    text, left_out = encode(entries)
    assert decode(text) == entries
    assert left_out == 0
    assert text.count("BEGIN CERTIFICATE") == 1


def test_hosts_are_names_that_only_a_service_has() -> None:
    assert entry().hosts("cluster.local") == (
        "team.team-a.svc:5000",
        "team.team-a.svc.cluster.local:5000",
    )


def test_the_first_ones_stay_when_there_is_not_room_for_all() -> None:
    entries = [entry(f"team-{number}") for number in range(50)]
    whole, _ = encode(entries)
    text, left_out = encode(entries, limit=len(whole) - 1)
    assert decode(text) == tuple(entries[:-1])
    assert left_out == 1
    assert encode(entries, limit=len(whole)) == (whole, 0)
    assert encode(entries, limit=len(BUNDLE)) == (encode([])[0], 50)


@given(st.integers(0, 30), st.integers(100, 12_000))
def test_a_document_never_has_more_bytes_than_allowed(count: int, limit: int) -> None:
    entries = [entry(f"t{number}", authority=BUNDLE * (number % 3 + 1)) for number in range(count)]
    text, left_out = encode(entries, limit)
    assert len(text.encode()) <= limit
    assert len(decode(text)) + left_out == count


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "../team"}, "name"),
        ({"name": "docker.io"}, "name"),
        ({"namespace": "Team"}, "namespace"),
        ({"namespace": ""}, "namespace"),
        ({"name": "team\n"}, "name"),
        ({"addresses": ()}, "no address"),
        ({"addresses": ('1.2.3.4"]',)}, "address"),
        ({"addresses": ("registry.example.com",)}, "address"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"scheme": "ftp"}, "scheme"),
        ({"scheme": "http"}, "http has no authority"),
        ({"authority": "hello"}, "PEM"),
        ({"authority": BUNDLE + "more"}, "PEM"),
        ({"authority": BUNDLE.replace("CERTIFICATE", "PRIVATE KEY")}, "PEM"),
        ({"authority": BUNDLE * 1000}, "PEM"),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        entry(**changes)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"registries": None},
        {"registries": [None]},
        {"authorities": [7]},
        {"authorities": []},
    ],
)
def test_a_document_that_is_not_ours_is_refused_as_a_whole(change: dict[str, Any]) -> None:
    document = json.loads(encode([entry()])[0]) | change
    with pytest.raises(ValueError, match=r"."):
        decode(json.dumps(document))


@pytest.mark.parametrize(
    ("field", "value"),
    [("authority", -1), ("authority", True), ("port", "5000"), ("addresses", [1]), ("name", None)],
)
def test_a_field_of_another_type_is_refused(field: str, value: Any) -> None:
    document = json.loads(encode([entry()])[0])
    document["registries"][0][field] = value
    with pytest.raises(ValueError, match="not a list of registries"):
        decode(json.dumps(document))


@given(st.text(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_any_other_text_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)
