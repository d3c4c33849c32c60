# SPDX-License-Identifier: Apache-2.0
import copy
from dataclasses import dataclass

import pytest

from cais_operator import names
from cais_operator.certificates import is_signed_by
from support.fake_cluster import Crash
from support.rotation_bench import MOST_ROUNDS, Installation, installation, split

pytestmark = pytest.mark.usefixtures("cheap_hashes")


@dataclass(slots=True)
class Killer:
    """Kills the operator when one write is done, which is the same as before the next one.

    Attributes:
        made: Where.
        stop: After which write; none when 0.
        at: How many there were.
    """

    made: Installation
    stop: int = 0
    at: int = 0

    def arm(self) -> None:
        self.made.ask()
        self.made.cluster.after = self.watch_and_strike

    def disarm(self) -> None:
        self.made.cluster.after = self.made.watch

    def watch_and_strike(self, verb: str, kind: str, name: str) -> None:
        self.made.watch(verb, kind, name)
        self.at += verb not in {"get", "list"}
        if self.at == self.stop:
            raise Crash(f"{verb} {kind} {name}")


async def rotate(made: Installation) -> None:
    """One operator from now to the end of the rotation."""
    made.stride = 1000.0
    operator = made.start()
    for _ in range(MOST_ROUNDS):
        await made.round(operator)
        is_done = made.phase() == "Steady" and made.note(names.ROTATE) == ""
        if is_done and len(made.authorities) > 1:
            await made.round(operator)
            return
    raise AssertionError(made.note(names.ROTATION))


async def writes_of_a_rotation(made: Installation) -> int:
    made.cluster.after = made.watch
    counter = Killer(made, stop=-1)
    counter.arm()
    await rotate(made)
    return counter.at


async def test_killed_at_any_write_it_ends_with_one_new_ca() -> None:
    prepared = await installation("other")
    number = await writes_of_a_rotation(copy.deepcopy(prepared))
    assert number > 15
    for stop in range(1, number + 1):
        made = copy.deepcopy(prepared)
        made.cluster.after = made.watch
        killer = Killer(made, stop=stop)
        killer.arm()
        with pytest.raises(Crash):
            await rotate(made)
        killer.disarm()
        await rotate(made)
        assert len(made.authorities) == 2, stop
        assert made.left_behind == [], stop
        assert split(made.bundle()) == [made.ca("tls.crt")]
        assert all(is_signed_by(leaf, made.bundle()) for leaf in made.served.values())
