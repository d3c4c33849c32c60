# SPDX-License-Identifier: Apache-2.0
"""The pure parts of the cluster's set-up."""

import json
import os
from pathlib import Path

import pytest

from clusterkit import images, machine, node_image, process, trust
from clusterkit.command import ClusterError
from clusterkit.kind import kind_config

HOSTS = "127.0.0.1 localhost\n10.0.0.1 team.svc other.svc # mine\n"

HOST_CASES = [
    ("new name", HOSTS, "a.svc", HOSTS + "10.96.0.9 a.svc\n"),
    ("empty file", "", "a.svc", "10.96.0.9 a.svc\n"),
    ("only name of its line", "10.0.0.1 a.svc\n", "a.svc", "10.96.0.9 a.svc\n"),
    (
        "one of two names",
        HOSTS,
        "team.svc",
        "127.0.0.1 localhost\n10.0.0.1 other.svc # mine\n10.96.0.9 team.svc\n",
    ),
    ("name in a comment", "# a.svc\n", "a.svc", "# a.svc\n10.96.0.9 a.svc\n"),
]


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [case[1:] for case in HOST_CASES],
    ids=[case[0] for case in HOST_CASES],
)
def test_a_name_gets_one_address(before: str, name: str, after: str) -> None:
    assert trust.with_host(before, name, "10.96.0.9") == after
    assert trust.with_host(after, name, "10.96.0.9") == after


@pytest.mark.parametrize("bad", ["team.svc", "team.svc:", ":5000", "a/b:5000", "a:b", ""])
def test_a_registry_is_host_and_port(bad: str) -> None:
    with pytest.raises(ClusterError, match="not HOST:PORT"):
        trust.split(bad)


def config(*, own: bool, unified: bool, capability: bool) -> dict[str, object]:
    text = kind_config(own_engine=own, unified_cgroups=unified, resource_capability=capability)
    parsed: dict[str, object] = json.loads(text)
    return parsed


def test_an_ordinary_machine_gets_no_special_settings() -> None:
    text = json.dumps(config(own=False, unified=True, capability=True))
    assert "config_path" in text
    for special in ("failCgroupV1", "oom", "apiServerAddress"):
        assert special not in text


def test_a_machine_without_what_nodes_want_gets_the_settings_that_do_without() -> None:
    text = json.dumps(config(own=True, unified=False, capability=False))
    for special in ("failCgroupV1", "oomScoreAdj", "restrict_oom_score_adj", "10.124.0.2"):
        assert special in text


def test_a_process_is_known_by_id_and_start(tmp_path: Path) -> None:
    me = process.look_up(os.getpid())
    assert me is not None
    process.write(tmp_path / "p", me)
    assert process.read(tmp_path / "p") == me
    process.write(tmp_path / "p", process.Process(pid=me.pid, start=me.start + 1))
    assert process.read(tmp_path / "p") is None


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', "[]"])
def test_a_broken_process_file_is_no_process(tmp_path: Path, content: str) -> None:
    (tmp_path / "p").write_text(content)
    assert process.read(tmp_path / "p") is None


def test_a_program_name_with_blanks_and_brackets_is_read_over() -> None:
    fields = " ".join(["S", "7", *["0"] * 17, "4711", "0"])
    assert process.start_and_parent(f"12 (a) b (c) {fields}") == (4711, 7)


def test_only_packages_whose_file_is_missing_are_asked_for(tmp_path: Path) -> None:
    everything = machine.absent_packages(tmp_path)
    assert "docker.io" in everything
    for file in machine.PACKAGES:
        (tmp_path / file[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file[1:]).touch()
    assert machine.absent_packages(tmp_path) == []


def test_hidden_hierarchies_are_those_with_groups() -> None:
    head = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
    table = head + "cpu\t1\t1\t1\nhugetlb\t9\t3\t1\nrdma\t0\t5\t1\n"
    assert machine.hidden_controllers(table) == ["hugetlb"]


def test_a_changed_recipe_makes_another_image(tmp_path: Path) -> None:
    (tmp_path / "build.sh").write_text("one")
    first = node_image.made_tag(tmp_path)
    assert node_image.made_tag(tmp_path) == first
    (tmp_path / "build.sh").write_text("two")
    assert node_image.made_tag(tmp_path) != first
    assert images.base_tag(tmp_path / "build.sh").startswith("cais-base:trixie-")


@pytest.mark.parametrize(("found", "absent"), [(object(), []), (None, ["python3-pip"])])
def test_a_python_without_pip_is_given_it(found: object | None, absent: list[str]) -> None:
    assert machine.absent_python(lambda _: found) == absent
