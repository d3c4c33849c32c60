# SPDX-License-Identifier: Apache-2.0
"""No consumer takes the room of others, or the room that the owner's configuration needs."""

import pytest

from cais_operator import desired, errors
from cais_operator.consumers import Grant, judge, room
from cais_operator.resource import Key, parse_access
from operator_builders import SETTINGS, registry
from support.access_bench import ACCESS, ALLOWED, access_bench, access_body, allowing
from support.consumer_cases import CONSUMER_CASES

NAME = "kubernetes.io/metadata.name"
(LONG,) = (one for one in CONSUMER_CASES if one.message.startswith("repositories may"))


def grant(name: str, namespace: str = "team-b", repositories: tuple[str, ...] = ("apps",)) -> Grant:
    asked = parse_access(
        access_body(name=name, namespace=namespace, repositories=list(repositories))
    )
    everything = {**ALLOWED, "namespaceSelector": {}, "repositories": ["**"]}
    found = judge(asked, allowing(everything), {NAME: namespace})
    assert isinstance(found, Grant)
    return found


def test_all_that_consumers_may_ask_for_is_a_small_part_of_what_a_configmap_may_hold() -> None:
    worst = LONG.accepted["repositories"]
    grants = [
        grant(f"{'a' * 37}{at:03}", f"{'b' * 60}{at // 16:03}", tuple(worst)) for at in range(300)
    ]
    kept = room.first(grants, ())
    assert len(kept) == 128
    texts = [
        desired.config_map(registry(), SETTINGS, grants=one)["data"]["server.yaml"]
        for one in ((), kept)
    ]
    assert len(texts[1].encode()) - len(texts[0].encode()) < 384 * 1024


def test_patterns_that_are_too_long_together_are_refused_also_when_they_are_stored() -> None:
    with pytest.raises(errors.InvalidSpec, match=r"spec\.repositories is 2049: .* 2048 characters"):
        parse_access(access_body(**LONG.refused))
    parse_access(access_body(**LONG.accepted))


def test_a_namespace_has_so_many_accounts_and_leaves_the_rest_to_others() -> None:
    greedy = [grant(f"a{at:03}", "greedy") for at in range(200)]
    kept = room.first([*greedy, grant("web", "zone")], ())
    assert [one.user for one in kept] == [*(f"a{at:03}@greedy" for at in range(16)), "web@zone"]


def test_who_has_an_account_keeps_it() -> None:
    some = [grant(f"a{at:03}", f"ns-{at % 9}") for at in range(140)]
    last = some[-1]
    assert last not in room.first(some, ())
    assert last in room.first(some, {last.user})


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ([f"a{at}@team-b" for at in range(15)], None),
        ([f"a{at}@team-b" for at in range(16)], "this namespace has 16 accounts"),
        ([f"a{at}@ns-{at % 9}" for at in range(127)], None),
        ([f"a{at}@ns-{at % 9}" for at in range(128)], "this Registry has 128 accounts"),
    ],
)
def test_why_there_is_no_room_is_told(known: list[str], words: str | None) -> None:
    found = room.lacking(known, "team-b")
    if words is None:
        assert found is None
        return
    assert found is not None
    assert (found.reason, found.waits) == ("TooManyAccounts", True)
    assert words in found.message


@pytest.mark.usefixtures("cheap_hashes")
async def test_the_last_one_waits_until_another_one_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cais_operator.consumers.room.MOST_OF_NAMESPACE", 1)
    made = access_bench()
    await made.settle_both()
    made.put_access(name="api", uid="uid-of-api", secretName="api")
    both = (ACCESS, Key("team-b", "api"))
    await made.settle_both(*both)
    assert made.said()["status"] == "True"
    assert made.said(key=both[1])["reason"] == "TooManyAccounts"
    made.drop_access()
    await made.settle_both(*both)
    assert made.said(key=both[1])["status"] == "True"
