# SPDX-License-Identifier: Apache-2.0
"""The password of a RegistryAccess is replaced: two work, then one."""

import pytest

from cais_operator import names
from support.access_bench import access_bench
from support.operator_bench import KEY

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_a_rotation_has_two_passwords_that_work_and_then_one() -> None:
    made = access_bench(rotation={"every": "24h", "overlap": "1h"})
    await made.settle_both()
    old = made.password()
    made.later(hours=24)
    await made.turn()
    assert made.password() == old  # the server has not loaded the new one yet
    await made.settle_both()
    new = made.password()
    assert new != old
    assert (made.takes(old), made.takes(new)) == (True, True)
    made.later(minutes=61)
    await made.turn()
    assert (made.takes(old), made.takes(new)) == (False, True)


async def test_who_asks_gets_a_new_password_once_and_who_asks_twice_ends_the_first() -> None:
    made = access_bench()
    await made.settle_both()
    first = made.password()
    made.annotate("web", {names.ROTATE: "now"})
    await made.settle_both()
    second = made.password()
    assert second != first
    assert made.annotations("web") == {}
    assert (made.takes(first), made.takes(second)) == (True, True)
    made.annotate("web", {names.ROTATE: "now"})
    await made.settle_both()
    assert (made.takes(first), made.takes(second)) == (False, True)
    assert made.password() not in (first, second)


async def test_a_paused_registry_renews_nothing() -> None:
    made = access_bench(rotation={"every": "24h", "overlap": "1h"})
    await made.settle_both()
    before = made.account()
    made.cluster.change(names.KIND, "team", spec={"paused": True})
    made.annotate("web", {names.ROTATE: "now"})
    made.later(hours=25)
    await made.settle_both()
    assert made.account() == before


async def test_the_registry_is_looked_at_when_a_password_is_due() -> None:
    made = access_bench(rotation={"every": "10m", "overlap": "1m"})
    await made.settle_both()
    made.later(minutes=9, seconds=58)
    registry, _ = made.both()
    outcome = await registry.reconcile(KEY)
    assert outcome.after is not None
    assert outcome.after <= 2
