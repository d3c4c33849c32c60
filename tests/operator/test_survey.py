# SPDX-License-Identifier: Apache-2.0
import copy
from dataclasses import replace

import pytest

from cais_operator import certificates, names
from cais_operator.cluster import Children
from cais_operator.survey import Survey
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


async def test_registries_of_others_are_not_waited_for_though_their_ca_is_the_same() -> None:
    made = await installation()
    for kind, name in ((names.KIND, "team"), ("Secret", "team-tls")):
        live = copy.deepcopy(made.cluster.objects[kind, "team-a", name])
        live["metadata"]["namespace"] = "theirs"
        made.cluster.put(live)
    secret = made.cluster.objects["Secret", "cais-system", "cais-ca"]
    authority = replace(certificates.authority_from(secret), bundle="one that nobody has yet")
    for others, waited_for in (((), ["team-a", "theirs"]), (("theirs",), ["team-a"])):
        survey = Survey(
            made.cluster, Children(), made.handshake, made.settings, others.__contains__
        )
        found = await survey.unpublished(authority, made.now)
        assert [one.key.namespace for one in found] == waited_for
