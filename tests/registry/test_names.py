# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cais_registry.model.errors import NameInvalid, TagInvalid
from cais_registry.model.names import RepoName, Tag


@pytest.mark.parametrize(
    "text",
    ["a", "0", "a/b", "a.b", "a_b", "a__b", "a-b", "a---b", "1/2/3/4/5/6/7/8/9", "tags/list",
     "x/blobs/y", "a" * 255],
)  # fmt: skip
def test_names_of_the_specification_are_taken(text: str) -> None:
    assert str(RepoName.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "A", "a/B", "/a", "a/", "a//b", ".a", "a.", "a..b", "a___b", "a_-b", "-a", "a b", "a\n",
     "é", "..", "a/../b", "a%2fb", "a:b", "a" * 256],
)  # fmt: skip
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(NameInvalid, match="lower-case"):
        RepoName.parse(text)


@pytest.mark.timeout(10)
def test_a_long_hostile_name_is_refused_quickly() -> None:
    for text in ("a" * 254 + "!", "a-" * 127 + "!", "-" * 100_000, "a_" * 100_000):
        with pytest.raises(NameInvalid):
            RepoName.parse(text)


@given(
    st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*){0,3}", fullmatch=True)
)
def test_names_built_by_the_rule_are_taken(text: str) -> None:
    if len(text) <= 255:
        assert RepoName.parse(text).value == text


@pytest.mark.parametrize("text", ["latest", "v1.2.3", "_", "A-b.c_d", "0", "a" * 128])
def test_tags_of_the_specification_are_taken(text: str) -> None:
    assert str(Tag.parse(text)) == text


@pytest.mark.parametrize("text", ["", ".a", "-a", "a/b", "a:b", "a b", "a+b", "é", "a" * 129])
def test_other_tags_are_refused(text: str) -> None:
    with pytest.raises(TagInvalid, match="letters"):
        Tag.parse(text)
    with pytest.raises(TagInvalid, match="letters"):
        Tag.parse(f"{text}\n")
