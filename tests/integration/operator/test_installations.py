# SPDX-License-Identifier: Apache-2.0
"""Two installations never look after one namespace: the second one says so and changes nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cais_operator.installation import CLUSTER_NAME, CLUSTER_PLACE, NAME
from support.apiserver import ApiServer, wait_for
from support.children import CHILDREN
from support.operators import Operator, Place, new_place, operator
from support.rights import RBAC


def beside(place: Place) -> Place:
    """Another installation for the same namespace."""
    return Place(api=place.api, team=place.team, system=new_place(place.api).system)


def grant_role(place: Place, *, everywhere: bool) -> Callable[[], Any]:
    """What Helm makes, and its removal; it grants nothing, as operators here may do all."""
    path = RBAC + ("/clusterroles" if everywhere else f"/namespaces/{place.team}/roles")
    place.api.request("POST", path, {"metadata": {"name": place.system}, "rules": []})
    return lambda: place.api.request("DELETE", f"{path}/{place.system}")


def versions(place: Place) -> dict[str, str]:
    """Every object of the Registry, and the Registry, as it is stored."""
    found = {name: place.get(*name) for name in (*CHILDREN, ("Registry", "team"))}
    return {
        "/".join(name): live["metadata"]["resourceVersion"] for name, live in found.items() if live
    }


def is_refused(one: Operator, words: str) -> bool:
    status, said = one.fetch("/readyz")
    return status == 503 and words in said


def is_ready(one: Operator) -> bool:
    return one.leads() and one.fetch("/readyz")[0] == 200


def holds(place: Place, name: str = NAME, namespace: str = "") -> str:
    live = place.get("ConfigMap", name, namespace)
    return str(live["metadata"]["annotations"]["cais.dev/installation"]) if live else ""


def test_the_second_of_two_for_one_namespace_waits_until_the_first_is_removed(
    place: Place, tmp_path: Path
) -> None:
    other = beside(place)
    uninstall = grant_role(place, everywhere=False)
    grant_role(other, everywhere=False)
    with operator(place, tmp_path, f"--role={place.system}") as first:
        place.create_registry()
        place.wait_complete()
        place.wait_looked_again(2)
        before = versions(place)
        with operator(other, tmp_path, f"--role={other.system}", "--resync=1") as second:
            wait_for(lambda: is_refused(second, place.system), "the second one says whose it is")
            second.wait_looked_again(3)
            assert versions(place) == before
            assert other.get("Secret", "cais-ca", other.system) is None
            assert second.fetch("/healthz")[0] == 200
            assert is_ready(first)
            first.process.terminate()
            assert first.process.wait(30) == 0
            second.wait_looked_again(3)  # between two pods of one installation nothing is taken
            assert holds(place) == place.system
            uninstall()
            wait_for(lambda: is_ready(second), "the second one works")
            wait_for(lambda: holds(place) == other.system, "and says so")
            wait_for(lambda: versions(place)["Secret/team-tls"] != before["Secret/team-tls"], "it")
            assert other.get("Secret", "cais-ca", other.system) is not None
    said = [json.loads(line) for line in second.log.read_text().splitlines()]
    assert [one["level"] for one in said if "is looked after by" in one["message"]] == ["error"]


def test_an_installation_of_the_whole_cluster_has_all_namespaces_but_those_of_others(
    api: ApiServer, place: Place, tmp_path: Path
) -> None:
    theirs = new_place(api)
    uninstall = grant_role(place, everywhere=True)
    whole = (f"--role={place.system}", "--resync=1")
    with operator(theirs, tmp_path) as named:
        wait_for(lambda: is_ready(named), "the operator of one namespace")
        with operator(place, tmp_path, *whole, everywhere=True) as first:
            for one in (theirs, place):
                one.create_registry()
                one.wait_complete()
            wait_for(lambda: is_ready(first), "the operator of all namespaces")
            words = f"namespace {theirs.team} is looked after by"
            wait_for(lambda: words in first.log.read_text(), "it leaves the Registry of others")
            for one in (theirs, place):
                assert one.secret("team-tls", "ca.crt") == one.secret(
                    "cais-ca", "ca.crt", one.system
                )
            _second_is_refused(api, place, tmp_path, named=theirs)
            place.delete("Registry", "team")
            wait_for(lambda: not holds(place), "a namespace without Registries is nobody's")
            assert holds(theirs) == theirs.system
    uninstall()
    wait_for(lambda: not holds(place, CLUSTER_NAME, CLUSTER_PLACE), "the cluster is nobody's")


def _second_is_refused(api: ApiServer, place: Place, folder: Path, *, named: Place) -> None:
    """Neither one of the whole cluster nor one of this namespace gets a hold of it."""
    second, third, fresh = beside(place), beside(place), new_place(api)
    before = versions(place) | versions(named)
    with (
        operator(second, folder, "--resync=1", everywhere=True) as whole,
        operator(third, folder, "--resync=1") as one,
    ):
        wait_for(lambda: is_refused(whole, "this cluster is looked after by"), "it is refused")
        wait_for(lambda: is_refused(one, f"namespace {place.team} is"), "it is refused, too")
        fresh.create_registry()
        fresh.wait_complete()
        assert holds(fresh) == place.system
        one.wait_looked_again(2)
        assert whole.reconciles() == 0
    assert versions(place) | versions(named) == before
    for other in (second, third):
        assert other.get("Secret", "cais-ca", other.system) is None
    fresh.delete("Registry", "team")
