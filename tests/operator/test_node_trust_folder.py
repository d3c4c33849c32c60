# SPDX-License-Identifier: Apache-2.0
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cais_operator.node_trust.entries import Entry
from cais_operator.node_trust.folder import STAGING, Folder, Wanted
from cais_operator.node_trust.hosts import AUTHORITY, HOSTS, files, marker
from operator_builders import authority

OWNER = "cais-system/cais-nodes"
HOST = "team.team-a.svc:5000"
LONG = "team.team-a.svc.cluster.local:5000"


def wanted(folder: Path, *names: str, address: str = "10.96.7.7") -> Wanted:
    entries = [
        Entry(
            namespace="team-a",
            name=name,
            addresses=(address,),
            port=5000,
            authority=authority().bundle,
        )
        for name in names
    ]
    return files(entries, directory=folder, domain="cluster.local", owner=OWNER)


def bring(folder: Path, *names: str, **options: str) -> list[str]:
    return Folder(folder, OWNER).bring(wanted(folder, *names, **options))


Picture = dict[str, tuple[int, str]]


def picture(folder: Path) -> Picture:
    """Everything below a folder: kind and mode, and what it holds or leads to."""
    found: Picture = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            text = str(path.readlink())
        else:
            text = path.read_text() if stat.S_ISREG(mode) else ""
        found[str(path.relative_to(folder))] = (mode, text)
    return found


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


@pytest.mark.parametrize("secret", ["a folder", "a file"])
def test_what_cannot_be_read_is_somebody_elses_and_no_problem_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / HOSTS).write_text(marker(OWNER))
    real_open, real_list = os.open, Path.iterdir

    def refuse(path: Any, *arguments: Any) -> int:
        if secret == "a file" and Path(path) == hidden / HOSTS:
            raise PermissionError(errno.EACCES, "no")
        return real_open(path, *arguments)

    def refuse_folder(path: Path) -> Iterator[Path]:
        if secret == "a folder" and path == hidden:
            raise PermissionError(errno.EACCES, "no")
        return iter(list(real_list(path)))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(Path, "iterdir", refuse_folder)
    assert bring(tmp_path, "team") == []
    assert (tmp_path / HOST / HOSTS).exists()
    assert (hidden / HOSTS).exists()


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


class Killed(BaseException):
    """The process ends here."""


def steps(monkeypatch: pytest.MonkeyPatch, last: int) -> list[str]:
    """Kill at the system call with that number, of those that change something."""
    done: list[str] = []

    def wrap(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            if len(done) >= last:
                raise Killed
            done.append(name)
            return real(*args, **options)

        monkeypatch.setattr(owner, name, call)

    for name in ("mkdir", "rename", "unlink", "rmdir"):
        wrap(Path, name)
    wrap(os, "fsync")
    return done


@pytest.mark.parametrize("before", [(), ("team",), ("other",)])
@pytest.mark.parametrize("after", [(), ("team",)])
def test_a_kill_at_any_step_is_taken_up_by_the_next_run(
    tmp_path: Path, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    last, ended = 0, False
    while not ended:
        place = tmp_path / str(last)
        place.mkdir()
        bring(place, *before)
        with pytest.MonkeyPatch.context() as patch:
            done = steps(patch, last)
            try:
                bring(place, *after, address="10.96.7.9")
                ended = True
            except Killed:
                last += 1
        assert bring(place, *after, address="10.96.7.9") == [], done
        as_wanted = {
            f"{host}/{name}": text
            for host, texts in wanted(place, *after, address="10.96.7.9").items()
            for name, text in texts.items()
        }
        found = {path: text for path, (mode, text) in picture(place).items() if stat.S_ISREG(mode)}
        assert found == as_wanted, done
        assert len(list(place.iterdir())) == 2 * len(after), done
    assert (last > 4) == (before != after or bool(after))


NAMES = st.sampled_from([HOST, LONG, "_default", "docker.io", "team.team-a.svc_5000_", "x"])
TEXTS = st.sampled_from(["", "mine\n", marker("other/cais-nodes"), marker(OWNER)[1:]])
MAKERS = st.dictionaries(
    NAMES,
    st.one_of(
        TEXTS,
        st.dictionaries(st.sampled_from([HOSTS, AUTHORITY, "client.cert", "deep"]), TEXTS),
        st.none(),
    ),
)


@settings(max_examples=150)
@given(MAKERS, st.lists(st.lists(st.sampled_from(["team", "zoo"]), unique=True), max_size=4))
def test_nothing_of_others_ever_changes(
    tmp_path_factory: pytest.TempPathFactory, made: dict[str, Any], rounds: list[list[str]]
) -> None:
    place = tmp_path_factory.mktemp("certs")
    for name, content in made.items():
        if content is None:
            (place / name).symlink_to("/nowhere")
        elif isinstance(content, str):
            (place / name).write_text(content)
        else:
            (place / name).mkdir()
            for file, text in content.items():
                (place / name / file).write_text(text)
    before = picture(place)
    for names in rounds:
        problems = bring(place, *names)
        now = picture(place)
        assert {path: now.get(path) for path in before} == before
        in_the_way = {host for host in wanted(place, *names) if os.path.lexists(place / host)}
        assert all(
            any(host in problem for problem in problems) for host in in_the_way & made.keys()
        )
    assert bring(place) == []
    assert picture(place) == before
