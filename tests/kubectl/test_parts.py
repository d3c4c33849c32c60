# SPDX-License-Identifier: Apache-2.0
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from cais_kubectl import completion, dns, docker, output
from cais_kubectl.errors import Failure
from cais_kubectl.registry_http import Login
from support.fake_kubectl import NOW, stamp

LOGIN = Login(user="ci", password="s3cret")


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_password_goes_to_a_client_by_its_standard_input_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "helm", 'echo "$*"; cat > "$0.stdin"; env >> "$0.env"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said = docker.log_in("helm", "host:5000", LOGIN)
    assert said == "registry login host:5000 --username ci --password-stdin"
    assert (tmp_path / "helm.stdin").read_text() == "s3cret"
    assert "s3cret" not in (tmp_path / "helm.env").read_text() + repr(LOGIN)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("x509: unknown authority", "--trust"),
        ("no such host", "--via port-forward"),
        ("odd", "odd"),
    ],
)
def test_a_refused_login_says_what_to_do(
    words: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "docker", f'echo "{words}" >&2; exit 1')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Failure, match=hint) as told:
        docker.log_in("docker", "host:5000", LOGIN)
    assert told.value.code == 1
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(Failure, match="no docker on the PATH"):
        docker.log_in("docker", "host:5000", LOGIN)


def test_a_ca_is_put_where_the_client_looks_and_replaces_an_older_one(tmp_path: Path) -> None:
    for text in ("old\n", "new\n"):
        file = docker.trust("docker", "team.team-a.svc:5000", text, str(tmp_path))
    assert file == tmp_path / "team.team-a.svc:5000" / "ca.crt"
    assert file.read_text() == "new\n"
    assert file.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in file.parent.iterdir()] == ["ca.crt"]


def test_a_ca_that_cannot_be_put_there_says_how_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="sudo install -D -m 644"):
        docker.trust("docker", "host", "ca", str(tmp_path / "file"))
    with pytest.raises(Failure, match="crane has no folder for CAs"):
        docker.trust("crane", "host", "ca", None)


def asked(*words: str, kubectl: Sequence[str] = ()) -> tuple[list[str], int, list[list[str]]]:
    seen: list[list[str]] = []

    def ask(question: Sequence[str]) -> Sequence[str]:
        seen.append(list(question))
        return kubectl

    found, directive = completion.candidates(words, ask)
    return [one.partition("\t")[0] for one in found], directive, seen


def test_commands_flags_and_choices_are_completed_without_asking_anyone() -> None:
    assert asked("st") == (["status"], 4, [])
    assert asked("status", "--all") == (["--all-namespaces"], 4, [])
    assert asked("status", "-o", "") == (["table", "json", "yaml"], 4, [])
    assert asked("login", "--client", "po") == (["podman"], 4, [])
    assert asked("nonsense", "") == ([], 4, [])
    assert asked("ls", "team", "") == ([], 4, [])
    assert asked("status", "--kubeconfig", "") == ([], 0, [])


def test_names_are_asked_of_the_cluster_that_the_words_so_far_choose() -> None:
    found, _, questions = asked(
        "gc", "-n", "team-a", "--context=x", "te", kubectl=["r/team", "r/o"]
    )
    assert found == ["team"]
    wanted = ["get", "registries.cais.dev", "--output=name", "--namespace=team-a", "--context=x"]
    assert questions == [wanted]
    assert asked("gc", "-n", "", kubectl=["namespace/a"])[0] == ["a"]
    assert asked("gc", "--context", "", kubectl=["kind"])[0] == ["kind"]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 60, "1024.0 PiB")]
)
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert output.size(count) == text


def test_ages_and_tables_are_for_people() -> None:
    ages = [timedelta(seconds=5), timedelta(minutes=90), timedelta(days=3), timedelta(hours=-1)]
    assert [output.age(stamp(ago), NOW) for ago in ages] == ["5s", "90m", "3d", "0s"]
    assert output.age("nonsense", NOW) == ""
    assert output.table(("A", "B"), [("long", "")]) == "A      B\nlong   -"


def test_yaml_without_its_library_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(Failure, match="-o json"):
        output.structured([], "yaml")


def test_a_command_starts_without_what_only_some_need() -> None:
    text = (
        "import sys, cais_kubectl.__main__ as m; m.parser();"
        "print(sorted({'yaml', 'asyncio', 'kubernetes', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@contextmanager
def name_server(flags: int, answers: int, *, wrong: int = 0, cut: bool = False) -> Iterator[int]:
    """Answers each question with a header alone."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    question = connection.recv(512)
                    (number,) = struct.unpack("!H", question[2:4])
                    header = struct.pack("!HHHHHH", number ^ wrong, flags, 1, answers, 0, 0)
                    connection.sendall(struct.pack("!H", len(header)) + header[: 4 if cut else 12])

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("flags", "answers", "known"), [(0x8180, 1, True), (0x8180, 0, False), (0x8183, 0, False)]
)
def test_a_name_is_known_when_it_has_an_address(flags: int, answers: int, known: bool) -> None:
    with name_server(flags, answers) as port:
        assert dns.knows(port, "kubernetes.default.svc.cluster.local") is known


def test_an_answer_to_something_else_or_half_of_one_is_none() -> None:
    with name_server(0x8180, 1, wrong=1) as port, pytest.raises(ValueError, match="another"):
        dns.knows(port, "a.b")
    with name_server(0x8180, 1, cut=True) as port, pytest.raises(ValueError, match="cut short"):
        dns.knows(port, "a.b")
