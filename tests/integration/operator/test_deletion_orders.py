# SPDX-License-Identifier: Apache-2.0
"""Registry, namespace, definitions and operator are deleted in every order, and nothing is left.

All orders are played side by side, as the definitions go only once: one operator is gone before
them, and another one outlives them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from pathlib import Path

import pytest

from cais_operator import names
from cais_operator.installation import NAME
from support.apiserver import ApiServer, api_server, controller_manager, wait_for
from support.children import CHILDREN
from support.crd_storage_cases import volume
from support.definitions import DEFINITIONS
from support.operators import (
    GROUP,
    Operator,
    Place,
    define_kinds,
    new_place,
    operator,
    ours,
)
from support.rights import RBAC

CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "persistentvolumeclaim-protection-controller",
)
STEPS = ("registry", "namespace", "definitions", "operator")
ROLE = "cais-operator"
DEARER = 0.5  # seconds between two looks at a whole cluster
WAITS = "waiting for the resource definition of Registry"

Order = tuple[str, ...]
Child = tuple[str, str, str]  # kind, namespace and name


def orders() -> list[Order]:
    """Every order; a Registry that has gone with another one of them is not deleted by itself."""
    found = set()
    for order in permutations(STEPS):
        gone = min(order.index("namespace"), order.index("definitions"))
        found.add(tuple(one for one in order if one != "registry" or order.index(one) < gone))
    return sorted(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A namespace with a Registry, in which one order is played.

    Attributes:
        order: What is deleted.
        place: Where.
        keeps: Whether the claim outlives the Registry.
        done: What was deleted so far.
    """

    order: Order
    place: Place
    keeps: bool
    done: list[str] = field(default_factory=list)

    def go_on(self) -> None:
        """Delete what is next and only of this namespace, at once and without waiting."""
        for step in self.order[len(self.done) :]:
            if step == "registry":
                self.place.delete("Registry", "team")
            elif step == "namespace":
                self.place.api.request("DELETE", f"/api/v1/namespaces/{self.place.team}")
            else:
                return
            self.done.append(step)

    def left(self) -> set[Child] | None:
        """What should be left of a Registry that is gone; None while it is not, or all may be."""
        if "namespace" in self.done or not {"registry", "definitions"} & set(self.done):
            return None
        data = {("PersistentVolumeClaim", self.place.team, "team-data")} if self.keeps else set()
        mark = set() if "operator" in self.done else {("ConfigMap", self.place.team, NAME)}
        return data | mark


def wait_clean(rows: list[Row]) -> None:
    """Until what belongs to Registries that are gone is gone, too, but for their data."""
    wanted = {row.place.team: left for row in rows if (left := row.left()) is not None}

    def is_clean() -> bool:
        found = {one for one in ours(rows[0].place.api) if one[1] in wanted}
        return found == set().union(*wanted.values())

    wait_for(is_clean, f"{wanted} and no more is left", pause=DEARER)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server without definitions, and whose definitions no other test needs."""
    with api_server(tmp_path_factory.mktemp("own")) as api:
        yield api


def forget_kinds(api: ApiServer) -> None:
    """Delete the definitions; until they are gone."""
    for plural in (names.PLURAL, names.ACCESS_PLURAL):
        path = f"{DEFINITIONS}/{plural}.{names.GROUP}"
        if api.find(path) is not None:
            api.request("DELETE", path)
        wait_for(partial(_is_gone, api, path), f"the definition of {plural} is gone")
        wait_for(partial(_is_gone, api, f"{GROUP}/{plural}"), f"{plural} are not served")


def _is_gone(api: ApiServer, path: str) -> bool:
    return api.find(path) is None


def grant(rows: list[Row]) -> None:
    """The roles that Helm would make."""
    for row in rows:
        path = f"{RBAC}/namespaces/{row.place.team}/roles"
        row.place.api.request("POST", path, {"metadata": {"name": ROLE}, "rules": []})


@contextmanager
def started(rows: list[Row], folder: Path) -> Iterator[Operator]:
    """An operator of the rows' namespaces."""
    more = [f"--namespace={row.place.team}" for row in rows[1:]]
    with operator(rows[0].place, folder, f"--role={ROLE}", *more) as running:
        yield running


def uninstall(rows: list[Row]) -> None:
    """What Helm and the deletion of its namespace do, without the operator's process."""
    api = rows[0].place.api
    for row in rows:
        path = f"{RBAC}/namespaces/{row.place.team}/roles/{ROLE}"
        if api.find(path) is not None:
            api.request("DELETE", path)
    api.request("DELETE", f"/api/v1/namespaces/{rows[0].place.system}")


def _rows(api: ApiServer, *, outlived: bool) -> list[Row]:
    """Those whose operator goes before the definitions, or after them."""
    system = new_place(api).system
    rows = []
    for number, order in enumerate(orders()):
        if (order.index("operator") > order.index("definitions")) is outlived:
            team = "team-" + "".join(step[0] for step in order)
            api.request("POST", "/api/v1/namespaces", {"metadata": {"name": team}})
            place = Place(api=api, team=team, system=system)
            rows.append(Row(order=order, place=place, keeps=bool(number % 2)))
    return rows


def _happens(step: str, affected: list[Row], every: list[Row]) -> None:
    """Note what was deleted, see that all is clean so far, and let the orders go on."""
    for row in affected:
        row.done.append(step)
    wait_clean(every)
    for row in affected:
        row.go_on()


def _complete(rows: list[Row]) -> None:
    """Until each has all of its children; asked in few requests."""
    wanted = {(kind, row.place.team, name) for row in rows for kind, name in CHILDREN}
    wait_for(lambda: wanted <= ours(rows[0].place.api), "all children", pause=DEARER)


def test_deletion_in_every_order_ends_clean(own: ApiServer, tmp_path: Path) -> None:
    define_kinds(own)
    first, second = (_rows(own, outlived=outlived) for outlived in (False, True))
    every = first + second
    grant(every)
    with (
        controller_manager(own, CONTROLLERS),
        started(first, tmp_path) as short,
        started(second, tmp_path) as long,
    ):
        for row in every:
            row.place.create_registry(volume(onDelete="Retain" if row.keeps else "Delete"))
        _complete(every)
        for row in every:
            row.go_on()
        short.process.kill()
        short.process.wait()
        uninstall(first)
        _happens("operator", first, every)
        forget_kinds(own)
        _happens("definitions", every, every)
        assert long.process.wait(60) == 1  # so Kubernetes starts it anew, to wait
        assert "knows registries.cais.dev no more" in long.log.read_text()
        uninstall(second)
        _happens("operator", second, every)
        assert [row.order for row in every if tuple(row.done) != row.order] == []
        for name in {name for row in every for name in (row.place.team, row.place.system)}:
            path = f"/api/v1/namespaces/{name}"
            wait_for(partial(_is_gone, own, path), f"{name} is gone")


def test_an_operator_waits_for_the_definitions_and_then_works(
    own: ApiServer, tmp_path: Path
) -> None:
    place = new_place(own)
    with operator(place, tmp_path) as running:
        wait_for(lambda: WAITS in running.log.read_text(), "it waits for the definitions")
        define_kinds(own)
        place.create_registry()
        wait_for(lambda: place.get("Deployment", "team"), "the Registry has its server")
    forget_kinds(own)
