# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from demo.garbage import used
from demo.shell import CommandFailed, Shell
from demo.story import Step, tell


def shell(folder: Path, *enter: str) -> Shell:
    environment = {"PATH": "/usr/bin:/bin", "NAME": "world"}
    return Shell(prompt="$", enter=enter, environment=environment, folder=folder)


def test_command_is_shown_as_typed_with_its_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = shell(tmp_path).type("echo 'hello' \"$NAME\" | tr a-z A-Z")
    assert printed == "HELLO WORLD\n"
    shown = capsys.readouterr().out
    assert shown == "$ echo 'hello' \"$NAME\" | tr a-z A-Z\nHELLO WORLD\n"


def test_commands_start_in_their_folder_also_behind_what_is_entered(tmp_path: Path) -> None:
    assert shell(tmp_path, "env", "--chdir=/").ask("pwd") == f"{tmp_path}\n"


@pytest.mark.parametrize("command", ["exit 3", "false; true", "false | cat; true", "echo $UNSET"])
def test_command_that_fails_anywhere_fails_the_step(tmp_path: Path, command: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        shell(tmp_path).type(command)
    assert command in str(failed.value)


def test_failure_tells_exit_code_and_last_words(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="exit code 7\nno space left"):
        shell(tmp_path).ask("echo no space left >&2; exit 7")


def test_asking_again_ends_when_the_answer_is_good(tmp_path: Path) -> None:
    count = "echo x >> file; wc -l < file"
    answer = shell(tmp_path).wait_for(count, lambda lines: int(lines) >= 3, seconds=60)
    assert answer.strip() == "3"


def test_asking_again_gives_up_with_the_last_answer(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="not yet"):
        shell(tmp_path).wait_for("echo not yet", lambda answer: "yes" in answer, seconds=0)


def test_every_step_has_title_number_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 0.5, 1.0, 3.0, 3.0, 4.0, 9.5, 10.0])
    acted: list[str] = []
    steps = [Step(title=title, act=lambda: acted.append("x")) for title in ("One", "Two")]
    tell(steps, clock=lambda: next(times))
    lines = capsys.readouterr().out.split("\n")
    assert lines[1] == "=== 1/2 [   0.5 s] One"
    assert "--- done in 2.0 s" in lines
    assert acted == ["x", "x"]
    assert lines[-2].startswith("=== all 2 steps done")


def test_used_space_is_read_from_df() -> None:
    table = (
        "Filesystem     1K-blocks   Used Available Use% Mounted on\n"
        "/dev/loop0        999320 131072    799436  15% /data\n"
    )
    assert used(table) == 131072
