# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from cais_operator import names
from support.rotation_bench import OVERLAP, installation

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_registries_with_certificates_of_others_are_not_waited_for() -> None:
    made = await installation()
    made.add("plain", {"tls": {"disabled": {}}})
    made.add("mine", {"tls": {"secretRef": {"name": "mine"}}})
    made.ask()
    operator = made.start()
    await made.until(operator, "Publishing")
    made.run_pods("plain")
    await made.until(operator, "Steady")
    assert made.left_behind == []


async def test_nodes_are_told_of_the_new_ca_before_certificates_change() -> None:
    made = await installation()
    made.settings = replace(made.settings, node_trust="cais-system")
    made.tell_nodes()
    made.ask()
    operator = made.start()
    for _ in range(20):
        await made.round(operator)
    assert made.phase() == "Publishing"
    why = "the ConfigMap cais-nodes does not have the new CA yet"
    assert f"waiting for 1: team-a/team ({why})" in made.note(names.ROTATION)
    made.tell_nodes()
    told = made.now
    await made.until(operator, "Replacing")
    assert made.began[-1] - told >= OVERLAP
