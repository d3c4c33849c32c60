# SPDX-License-Identifier: Apache-2.0
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cais_operator.node_trust.entries import Entry
from cais_operator.node_trust.folder import STAGING, Folder
from cais_operator.node_trust.hosts import AUTHORITY, HOSTS, files, marker
from operator_builders import authority
from support.certs_folder import HOST, LONG, OWNER, bring, picture


def test_a_host_is_a_folder_with_the_address_and_the_authority(tmp_path: Path) -> None:
    assert bring(tmp_path, "team") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((HOST, LONG))
    assert (tmp_path / HOST / HOSTS).read_text() == (
        f"{marker(OWNER)}"
        'server = "https://team.team-a.svc:5000"\n'
        "\n"
        '[host."https://10.96.7.7:5000"]\n'
        '  capabilities = ["pull", "resolve"]\n'
        f'  ca = "{tmp_path}/team.team-a.svc:5000/ca.crt"\n'
    )
    assert (tmp_path / HOST / AUTHORITY).read_text() == marker(OWNER) + authority().bundle
    assert (tmp_path / HOST).stat().st_mode & 0o777 == 0o755
    assert (tmp_path / HOST / HOSTS).stat().st_mode & 0o777 == 0o644


def test_a_registry_that_needs_no_authority_any_more_has_its_file_taken_away(
    tmp_path: Path,
) -> None:
    bring(tmp_path, "team")
    plain = Entry(
        namespace="team-a", name="team", addresses=("10.96.7.7",), port=5000, scheme="http"
    )
    now = files([plain], directory=tmp_path, domain="cluster.local", owner=OWNER)
    assert Folder(tmp_path, OWNER).bring(now) == []
    assert [path.name for path in (tmp_path / HOST).iterdir()] == [HOSTS]
    text = (tmp_path / HOST / HOSTS).read_text()
    assert '[host."http://10.96.7.7:5000"]' in text
    assert "ca = " not in text


def test_nothing_is_written_where_nothing_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(tmp_path, "team")
    before = [path.stat() for path in sorted(tmp_path.rglob("*"))]
    monkeypatch.setattr(Folder, "_stage", lambda *_: pytest.fail("written again"))
    assert bring(tmp_path, "team") == []
    assert [path.stat() for path in sorted(tmp_path.rglob("*"))] == before


def test_a_new_address_changes_one_file(tmp_path: Path) -> None:
    bring(tmp_path, "team")
    before = (tmp_path / HOST / AUTHORITY).stat().st_ino
    assert bring(tmp_path, "team", address="fd00::7") == []
    assert '[host."https://[fd00::7]:5000"]' in (tmp_path / HOST / HOSTS).read_text()
    assert (tmp_path / HOST / AUTHORITY).stat().st_ino == before


def test_what_is_not_wanted_any_more_goes_and_the_rest_stays(tmp_path: Path) -> None:
    bring(tmp_path, "team", "other")
    assert bring(tmp_path, "other") == []
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"other"}


def test_an_edit_is_undone_and_a_file_without_the_first_line_is_the_persons(tmp_path: Path) -> None:
    bring(tmp_path, "team")
    file = tmp_path / HOST / HOSTS
    good = file.read_text()
    file.write_text(good + "# more\n")
    assert bring(tmp_path, "team") == []
    assert file.read_text() == good
    file.write_text("mine = true\n")
    (problem,) = bring(tmp_path, "team")
    assert f"{tmp_path / HOST} is not ours" in problem
    assert file.read_text() == "mine = true\n"


def a_folder_with(name: str, text: str) -> Callable[[Path], None]:
    def make(host: Path) -> None:
        host.mkdir()
        (host / name).write_text(text)

    return make


def a_link(host: Path) -> None:
    target = host.parent.parent / f"{host.parent.name}-elsewhere"
    target.mkdir()
    (target / HOSTS).write_text(marker(OWNER))
    host.symlink_to(target)


@pytest.mark.parametrize(
    "make",
    [
        a_folder_with(HOSTS, 'server = "https://mirror"\n'),
        a_folder_with(AUTHORITY, "mine\n"),
        a_folder_with(HOSTS, marker("other-system/cais-nodes") + "x\n"),
        a_folder_with(HOSTS, ""),
        Path.mkdir,
        lambda host: host.write_text("a file\n"),
        os.mkfifo,
        lambda host: host.symlink_to("nowhere"),
        a_link,
        lambda host: (host / HOSTS).mkdir(parents=True),
    ],
    ids=range(10),
)
def test_what_somebody_else_has_made_is_told_and_never_touched(
    tmp_path: Path, make: Callable[[Path], Any]
) -> None:
    make(tmp_path / HOST)
    before = picture(tmp_path)
    (problem,) = bring(tmp_path, "team")
    assert str(tmp_path / HOST) in problem
    assert bring(tmp_path) == []
    assert picture(tmp_path) == before


def test_files_of_somebody_else_in_a_folder_of_ours_stay(tmp_path: Path) -> None:
    bring(tmp_path, "team")
    (tmp_path / HOST / "client.cert").write_text("mine\n")
    (tmp_path / HOST / AUTHORITY).unlink()
    (tmp_path / HOST / AUTHORITY).write_text("mine\n")
    (problem,) = bring(tmp_path, "team", address="10.96.7.8")
    assert AUTHORITY in problem
    assert bring(tmp_path) == []
    assert picture(tmp_path / HOST).keys() == {"client.cert", AUTHORITY}


def test_a_folder_that_containerd_prefers_is_told(tmp_path: Path) -> None:
    (tmp_path / "team.team-a.svc_5000_").mkdir()
    (problem,) = bring(tmp_path, "team")
    assert "containerd prefers it" in problem


def test_one_host_in_the_way_keeps_no_other_from_being_written(tmp_path: Path) -> None:
    (tmp_path / HOST).mkdir()
    assert len(bring(tmp_path, "team", "zoo")) == 1
    assert (tmp_path / "zoo.team-a.svc:5000" / HOSTS).exists()
    assert (tmp_path / LONG / HOSTS).exists()


def test_a_second_pod_waits_its_turn(tmp_path: Path) -> None:
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    (problem,) = bring(tmp_path, "team")
    assert "another pod" in problem
    os.close(holder)
    assert bring(tmp_path, "team") == []


def test_a_missing_folder_and_a_staging_that_is_none_are_told(tmp_path: Path) -> None:
    (problem,) = bring(tmp_path / "none", "team")
    assert "No such file" in problem
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / STAGING).symlink_to("elsewhere")
    before = picture(tmp_path)
    assert len(bring(tmp_path, "team")) == 2
    assert picture(tmp_path) == before
