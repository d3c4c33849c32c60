# SPDX-License-Identifier: Apache-2.0
"""What is written on a node: killed at any step, and among whatever others have put there."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cais_operator.node_trust.hosts import AUTHORITY, HOSTS, marker
from support.certs_folder import HOST, LONG, OWNER, bring, picture, wanted


@pytest.mark.parametrize("secret", ["a folder", "a file"])
def test_what_cannot_be_read_is_somebody_elses_and_no_problem_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / HOSTS).write_text(marker(OWNER))
    real_open, real_list = os.open, Path.iterdir

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if secret == "a file" and Path(path) == hidden / HOSTS:
            raise PermissionError(errno.EACCES, "no")
        return real_open(path, *arguments, **options)

    def refuse_folder(path: Path) -> Iterator[Path]:
        if secret == "a folder" and path == hidden:
            raise PermissionError(errno.EACCES, "no")
        return iter(list(real_list(path)))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(Path, "iterdir", refuse_folder)
    assert bring(tmp_path, "team") == []
    assert (tmp_path / HOST / HOSTS).exists()
    assert (hidden / HOSTS).exists()


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
