# SPDX-License-Identifier: Apache-2.0
import time
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cais_operator.consumers.containment import MOST_STEPS, Prover
from cais_registry.model.globs import matches_path, matches_repo


@pytest.mark.parametrize(
    ("outer", "inner", "is_inside"),
    [
        ("apps/web", "apps/web", True),
        ("apps/web", "apps/api", False),
        ("apps/*", "apps/web", True),
        ("apps/*", "apps/*", True),
        ("apps/*", "apps/w*b", True),
        ("apps/*", "apps/**", False),  # apps itself, and apps/a/b
        ("apps/*", "*/web", False),
        ("apps/**", "apps", True),
        ("apps/**", "apps/*", True),
        ("apps/**", "apps/*/**", True),
        ("apps/**", "apps/**/x", True),
        ("apps/**", "apps2/**", False),
        ("apps/**", "**", False),
        ("apps/**", "**/apps/x", False),
        ("**", "**", True),
        ("**", "apps/**", True),
        ("**", "*", True),
        ("**/**", "a/**", True),
        ("*", "**", False),
        ("*", "*", True),
        ("*", "a*", True),
        ("*", "a/b", False),
        ("**/x", "a/**/x", True),
        ("**/x", "a/**", False),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/*/z", True),
        ("a/**/z", "a/b/**/z", True),
        ("a/**/z", "a/**", False),
        ("a*", "a*b", True),
        ("a*b", "a*", False),
        ("a*b*", "ab", True),
        ("*a*", "*ba*", True),
        ("*a*b*", "*b*a*", False),
        ("team-a*", "team-b", False),
        ("team-*/**", "team-a/x", True),
        ("a.b", "a*b", False),
        ("a?b", "a?b", True),
    ],
)
def test_what_is_inside(outer: str, inner: str, *, is_inside: bool) -> None:
    assert Prover().covers(outer, inner) is is_inside


_SEGMENT = st.text(alphabet="ab*", min_size=1, max_size=4).filter(lambda text: "**" not in text)
_GLOB = st.lists(st.one_of(_SEGMENT, st.just("**")), min_size=1, max_size=4).map("/".join)
_NAME = st.lists(st.text(alphabet="abc", min_size=1, max_size=4), min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(_GLOB, _GLOB, st.lists(_NAME.map("/".join), min_size=20, max_size=40))
def test_what_is_inside_matches_nothing_that_the_server_would_not_match(
    outer: str, inner: str, names: list[str]
) -> None:
    if Prover().covers(outer, inner):
        for name in names:
            assert not matches_repo(inner, name) or matches_repo(outer, name), name


def test_the_answer_is_exact_for_every_pair_of_small_patterns() -> None:
    """No is said only where some name shows it; compared with all names of a few short segments."""
    parts = ("a", "*", "a*", "*b", "**")
    globs = ["/".join(one) for count in (1, 2, 3) for one in product(parts, repeat=count)][::2]
    segments = ("", "a", "b", "ab", "ca")
    names = [one for count in range(5) for one in product(segments, repeat=count)]
    matched = {
        glob: {name for name in names if matches_path(glob.split("/"), name)} for glob in globs
    }
    wrong = [
        (outer, inner)
        for outer, inner in product(globs, repeat=2)
        if Prover().covers(outer, inner) != (matched[inner] <= matched[outer])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("/".join(["**", "*a*a*a*a*b"] * 20), "/".join(["**", "*a*b*a*"] * 25)),
        ("*a" * 100 + "b", "*ab" * 80),
        ("**/" + "*a*b" * 50, "**/" + "*b*a" * 50),
    ],
)
def test_hostile_patterns_end_with_no_and_soon(outer: str, inner: str) -> None:
    prover = Prover()
    began = time.process_time()
    prover.covers(outer, inner)
    prover.left = 0
    assert not prover.covers("a/*", "a/b")
    assert time.process_time() - began < 20  # of a second, in fact; a walk without end takes hours


def test_all_hostile_questions_of_one_access_together_take_a_bounded_number_of_steps() -> None:
    prover, asked = Prover(), 0
    for first, second in product(range(32), repeat=2):
        asked += prover.covers(f"**/{'*a*b' * 40}{first}*", f"**/{'*b*a' * 40}{second}*")
    assert asked == 0
    assert -1000 <= prover.left <= 0
    assert prover.covers("same/*", "same/*")  # needs no steps


def test_ordinary_questions_take_few_steps() -> None:
    prover = Prover()
    for outer in ("team-a/**", "base/**", "apps/*/release", "mirror/docker.io/**"):
        prover.covers(outer, "mirror/docker.io/library/*")
    assert MOST_STEPS - prover.left < 2000
